"""mbr: minimum Bayes risk, the candidate most like all the others (the paper's §6.1, infilling)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import model_validator

from dlm_core.control.spec import SpecValueError
from dlm_core.errors import MissingError, did_you_mean
from dlm_core.selection import SelectorSpec

if TYPE_CHECKING:
    from dlm_core.results import Result

UTILITIES = ("bleu", "chrf", "bertscore")
_PACKAGES = {"bleu": "sacrebleu", "chrf": "sacrebleu", "bertscore": "bert-score"}


class MBR(SelectorSpec):
    """Highest mean utility against the other candidates: bleu, chrf or bertscore."""

    kind: ClassVar[str] = "mbr"
    positional: ClassVar[tuple[str, ...]] = ("utility",)
    examples: ClassVar[tuple[str, ...]] = (
        "mbr:utility=bleu",
        "mbr:chrf",
        "mbr:utility=bertscore,model=PATH",
    )

    utility: Literal["bleu", "chrf", "bertscore"] = "bleu"
    model: Path | None = None
    """Folder of the encoder of bertscore: config, weights and tokenizer."""
    layer: int | None = None
    """The layer whose vectors bertscore compares; the last if omitted."""

    @model_validator(mode="before")
    @classmethod
    def _known_utility(cls, data: Any) -> Any:
        utility = data.get("utility", "bleu") if isinstance(data, dict) else "bleu"
        if utility not in UTILITIES:
            raise SpecValueError(
                f"unknown utility '{utility}'", did_you_mean(str(utility), UTILITIES)
            )
        return data

    @model_validator(mode="after")
    def _model_where_it_counts(self) -> Self:
        if self.utility == "bertscore" and self.model is None:
            raise SpecValueError(
                "utility 'bertscore' needs the folder of an encoder",
                f"for example {self.examples[-1]}",
            )
        if self.utility != "bertscore" and (self.model or self.layer) is not None:
            raise SpecValueError(
                f"utility '{self.utility}' has no model", f"try {self.examples[-1]}"
            )
        return self

    def check(self) -> None:
        """The package is installed, and the encoder can be read."""
        package = _PACKAGES[self.utility]
        if find_spec(package.replace("-", "_")) is None:
            raise MissingError(
                f"selector 'mbr': utility '{self.utility}' needs {package}, which is not installed",
                f"pip install {package}",
            )
        if self.model is not None:
            self._scorer()

    def _scorer(self) -> Any:
        from dlm_core.evaluation.encoder import load_scorer

        assert self.model is not None
        try:
            return load_scorer(self.model, self.layer)
        except MissingError as error:
            raise MissingError(f"selector 'mbr': {error.message}", error.hint) from error

    def scores(self, candidates: Sequence[Result]) -> list[float]:
        """Mean over the other candidates r of utility(h=candidate, r); 0 for an only candidate.

        BLEU and chrF are sacrebleu's, from 0 to 100; bertscore is F1, at most 1.

        Raises:
            MissingError: the package or the encoder is missing.
        """
        self.check()
        texts = [r.text if self.model else r.tokenised for r in candidates]
        if len(texts) < 2:
            return [0.0] * len(texts)
        pairs = [(h, r) for i, h in enumerate(texts) for j, r in enumerate(texts) if i != j]
        distinct = list(dict.fromkeys(pairs))  # the same text may be drawn twice
        if self.model is not None:
            from dlm_core.diffusion.surroundings import usual_torch

            with usual_torch():  # bert-score encodes each distinct text once
                f1 = self._scorer().score([h for h, _ in distinct], [r for _, r in distinct])[2]
            values = f1.tolist()
        else:
            values = _sacrebleu(self.utility, distinct)
        value = dict(zip(distinct, values, strict=True))
        others = len(texts) - 1
        return [
            sum(value[pair] for pair in pairs[i * others : (i + 1) * others]) / others
            for i in range(len(texts))
        ]


def _sacrebleu(utility: str, pairs: Sequence[tuple[str, str]]) -> list[float]:
    from sacrebleu.metrics import BLEU, CHRF

    # effective_order: a text of three words has no 4-grams, and is not worth 0 for it
    metric = BLEU(effective_order=True) if utility == "bleu" else CHRF()
    return [metric.sentence_score(h, [r]).score for h, r in pairs]
