"""`dlm evaluate` from Python: texts and what was asked of them in, a report of figures out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlm_core.errors import UsageError
from dlm_core.evaluation import measures, references
from dlm_core.evaluation.figures import Difference, Figure, Units, differences
from dlm_core.evaluation.intervals import RESAMPLES
from dlm_core.evaluation.judging import Judged, Text, asked
from dlm_core.version import VERSION

if TYPE_CHECKING:
    from dlm_core.bundle import ModelInfo
    from dlm_core.evaluation.teacher import Teacher


@dataclass(frozen=True)
class By:
    """What texts are measured by, beside the verdicts of their controls.

    Attributes:
        teacher: judges fluency.
        corpus: training texts, tokenised, for what was copied.
        references: of each text, at least one, as one writes them.
        encoder: BERTScore's folder, and its layer; the last if None.
        mauve: measure it, by the teacher's features.
        by_spec: one group of figures a control, not a kind.
    """

    teacher: Teacher | None = None
    corpus: Sequence[str] | None = None
    references: references.References | None = None
    encoder: Path | None = None
    layer: int | None = None
    mauve: bool = False
    by_spec: bool = False


@dataclass(frozen=True)
class Report:
    """What texts are worth.

    Attributes:
        figures: in the order of the table.
        units: what intervals resample.
        signature: everything that the figures depend on beside the texts.
        texts: as they were judged.
    """

    figures: list[Figure]
    units: Units
    signature: str
    texts: list[Text] = field(repr=False)

    def figure(self, name: str) -> Figure | None:
        """By its name."""
        return next((figure for figure in self.figures if figure.name == name), None)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "texts": len(self.texts),
            "targets": len(self.units.names) if self.units.what == "targets" else 1,
            "figures": {figure.name: figure.as_dict() for figure in self.figures},
            "signature": self.signature,
        }


def measure(judged: Sequence[Judged], by: By, info: ModelInfo) -> Report:
    """Every figure that can be measured.

    Raises:
        UsageError: there are no texts, or not as many references as texts.
        MissingError: a package is not installed.
    """
    if not judged:
        raise UsageError("no texts to evaluate")
    texts = [j.text for j in judged]
    tokens = [text.tokens for text in texts]
    units = Units.of([text.target for text in texts])
    group = asked if by.by_spec else measures.by_kind
    figures = measures.success(judged, units, group) + measures.faults(judged, units)
    signature = [f"dlm:{VERSION}", f"model:{info.sha256[:8]}", *_judges(texts)]
    if by.teacher is not None:
        figures += measures.fluency(tokens, units, by.teacher)
        signature.append(f"teacher:{by.teacher.digest}")
    figures += measures.variety(tokens, units) + measures.words(tokens, units)
    name = references.installed("sacrebleu", "sacrebleu", "self-BLEU")
    signature.append(f"self-bleu:{name} tok none eff yes")
    if by.corpus is not None:
        figures += measures.novelty(tokens, units, by.corpus)
        signature.append(f"corpus:{_digest(by.corpus)}")
    for figure, part in _by_references(texts, units, by):
        figures.append(figure)
        signature.append(part)
    scipy = references.installed("scipy", "scipy", "an interval")
    signature.append(f"ci:95% bca {RESAMPLES} {scipy} over {len(units.names)} {units.what}")
    return Report(figures, units, "|".join(signature), texts)


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:8]


def _judges(texts: Sequence[Text]) -> list[str]:
    specs = {str(term.spec): term.spec for text in texts for term in text.controls}
    found = dict.fromkeys(spec.judged_by() for spec in specs.values())
    return [f"judge:{judge}" for judge in found if judge]


def _by_references(texts: Sequence[Text], units: Units, by: By) -> list[tuple[Figure, str]]:
    if by.references is None:
        return []
    if len(by.references) != len(texts) or not all(by.references):
        raise UsageError(
            f"{len(by.references)} references for {len(texts)} texts", "one or more each"
        )
    written, wanted = [text.text for text in texts], by.references
    found = [make(written, wanted, units) for make in (references.bleu, references.rouge_l)]
    found.append(references.cider(written, wanted, units))
    if by.encoder is not None:
        found.append(references.bertscore(written, wanted, units, by.encoder, by.layer))
    if by.mauve:
        if by.teacher is None:
            raise UsageError("MAUVE needs a teacher's features", "--teacher FOLDER")
        found.append(references.mauve(written, wanted, by.teacher))
    return found


def compare(first: Report, second: Report) -> list[Difference]:
    """First less second over the same targets, paired.

    Raises:
        UsageError: their targets differ, or with one target their numbers of texts.
    """
    return differences(first.figures, second.figures, _places(first, second))


def _places(first: Report, second: Report) -> list[int]:
    """Where the units of the first stand among those of the second."""
    names, others = ({text.target: None for text in report.texts} for report in (first, second))
    for mine, theirs, which in ((names, others, "second"), (others, names, "first")):
        if missing := [name for name in mine if name not in theirs]:
            raise UsageError(
                f"the two have different targets: {len(missing)} of {len(mine)} are not in the "
                f"{which}, '{missing[0] or 'no control'}' for one",
                "compare texts that were made for the same controls",
            )
    if first.units.what == "targets":
        place = {name: k for k, name in enumerate(second.units.names)}
        return [place[name] for name in first.units.names]
    if len(first.texts) != len(second.texts):
        raise UsageError(
            f"one target, with {len(first.texts)} texts in the first and {len(second.texts)} in "
            "the second: texts are compared one by one",
            "as many texts of both",
        )
    seeds = [[text.seed for text in report.texts] for report in (first, second)]
    if None in seeds[0] or len(set(seeds[0])) < len(seeds[0]) or set(seeds[0]) != set(seeds[1]):
        return list(range(len(first.texts)))
    return [seeds[1].index(seed) for seed in seeds[0]]
