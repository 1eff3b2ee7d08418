"""The texts of `dlm evaluate` and what was asked of them, from JSONL rows or from plain texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dlm_cli.evaluate.texts import read_row, read_texts, tokens_of
from dlm_cli.files import open_lines
from dlm_cli.output import tell_error, warn
from dlm_core.control.compose import Controls
from dlm_core.errors import DLMError, UsageError
from dlm_core.evaluation.judging import Text
from dlm_core.natural import tokenise
from dlm_core.text import normal

if TYPE_CHECKING:
    from dlm_core.bundle import ModelInfo
    from dlm_core.control.compose import Term
    from dlm_core.plugins.registry import Plugins

TOLD = 5
"""Broken lines that are named one by one."""


@dataclass
class Rows:
    """Reads results; a line that cannot be read is told, and the rest counts.

    Attributes:
        name: the file; `-` is stdin.
        asked: controls of rows that name none.
        worst: the exit code of the worst line.
        broken: lines that could not be read.
    """

    name: str
    info: ModelInfo
    plugins: Plugins
    asked: tuple[Term, ...] = ()
    worst: int = 0
    broken: int = 0
    _terms: dict[str, Term] = field(default_factory=dict)

    def read(self, option: str = "argument 'RESULTS'") -> list[Text]:
        """Every text of the file.

        Raises:
            MissingError: it cannot be opened.
            UsageError: it has no texts, or asks for a control that is not known.
        """
        with open_lines(self.name, option) as lines:
            rows = list(self._rows(lines))
        if self.broken > TOLD:
            tell_error(f"{self.name}: {self.broken - TOLD} more lines cannot be read")
        texts = [self._text(row, number) for number, row in rows]
        self._tell_what_is_odd(texts)
        return texts

    def _rows(self, lines: Iterable[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
        """The rows that can be read, by their lines; the others are told."""
        number = 0
        try:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    yield number, read_row(line)
                except UsageError as error:
                    self._tell(error, number)
        except DLMError as error:  # the file itself cannot be read on
            self._tell(error, number + 1)

    def plain(self) -> list[Text]:
        """The texts of a file without controls of its own, as `--texts` names it."""
        made = read_texts(self.name, self.plugins.corpora, self.info.text)
        return [self._made({"text": text}, Controls(self.asked)) for text in made]

    def _text(self, row: dict[str, Any], number: int) -> Text:
        specs = [c["spec"] if isinstance(c, dict) else c for c in row.get("controls") or []]
        try:
            controls = Controls(tuple(map(self._term, specs)) or self.asked)
        except UsageError as error:
            raise UsageError(f"{self._place(number)}: {error.message}", error.hint) from error
        return self._made(row, controls)

    def _term(self, spec: str) -> Term:
        from dlm_core.control.parse import parse_spec

        if spec not in self._terms:
            self._terms[spec] = parse_spec(spec, self.plugins.controls)
        return self._terms[spec]

    def _made(self, row: dict[str, Any], controls: Controls) -> Text:
        text = row["text"]
        tokens = tokens_of(row) or " ".join(tokenise(normal(text), self.info.vocab))
        verdicts = [c.get("satisfied") for c in row.get("controls") or [] if isinstance(c, dict)]
        seed, signature = row.get("seed"), row.get("signature")
        return Text(
            text,
            tokens,
            controls,
            row.get("id"),
            seed if isinstance(seed, int) else None,
            signature if isinstance(signature, str) else "",
            tuple(verdicts) if len(verdicts) == len(controls) > 0 else None,
        )

    def _place(self, number: int) -> str:
        return f"{'stdin' if self.name == '-' else self.name}, line {number}"

    def _tell(self, error: DLMError, number: int) -> None:
        self.broken += 1
        if self.broken <= TOLD:
            tell_error(f"{self._place(number)}: {error.message}", error.hint)
        self.worst = max(self.worst, error.exit_code)

    def _tell_what_is_odd(self, texts: Sequence[Text]) -> None:
        name = "stdin" if self.name == "-" else self.name
        if not texts:
            raise UsageError(
                f"{name}: no texts in it", "plain texts: dlm evaluate --texts FILE --control SPEC"
            )
        if not any(text.controls.terms for text in texts):
            warn(
                f"{name}: no text names its controls, so that success cannot be told",
                "--control SPEC says what was asked of all of them",
            )
        for line, hint in _of_signatures([text.signature for text in texts], self.info):
            warn(f"{name}: {line}", hint)
        if empty := sum(not text.tokens for text in texts):
            warn(f"{name}: {empty} of {len(texts)} texts are empty; they count as texts")


def _of_signatures(signatures: Iterable[str], info: ModelInfo) -> Iterable[tuple[str, str | None]]:
    """What is odd about how the texts were made, a line each and what to do."""
    from dlm_core.version import VERSION

    parts = [_parts(signature) for signature in set(signatures) if signature]
    versions = sorted({part.get("dlm", "?") for part in parts} - {VERSION})
    if versions:
        made = ", ".join(versions)
        yield f"made by dlm {made}, judged by dlm {VERSION}: its verdicts may differ", None
    models = sorted({part["model"] for part in parts if "model" in part} - {info.sha256[:8]})
    if models:
        made = ", ".join(models)
        yield f"made by model {made}, judged with the words of {info.sha256[:8]}", "--model MODEL"
    settings = {tuple(sorted(part.items())) for part in parts}
    if len(settings) > 1:
        yield f"its texts were made with {len(settings)} different settings", None


def _parts(signature: str) -> dict[str, str]:
    """What a signature says of how all texts were made: not what was asked, nor the seed."""
    found = (part.partition(":") for part in signature.split("|"))
    return {name: value for name, _, value in found if name not in ("c", "seed", "head", "judge")}
