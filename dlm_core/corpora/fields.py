"""What the fields of a corpus could teach a control: their values, and whether texts say them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from dlm_core.corpora.example import Example
from dlm_core.natural import tokenise

FEW_VALUES = 50
"""A field of more values is no choice among them."""
_WORRYING = 0.02
"""A larger share of texts with several values is told."""
Kind = Literal["one value", "few values", "open", "unsaid"]


@dataclass(frozen=True)
class FieldReport:
    """A field of a corpus.

    Attributes:
        name: its name.
        texts: those that have a value.
        of: all texts.
        values: how many different ones there are.
        said: share of its texts in which the value stands word for word, in any case.
        common: the commonest values, with their counts.
        contradicted: texts that stand in the corpus with another value of it, too.
    """

    name: str
    texts: int
    of: int
    values: int
    said: float
    common: tuple[tuple[str, int], ...]
    contradicted: int = 0

    @property
    def kind(self) -> Kind:
        """`open` fields (names) are copied into the text; what is `unsaid` (ids) cannot be told."""
        if self.values == 1:
            return "one value"
        if self.values <= min(FEW_VALUES, self.texts // 2):
            return "few values"
        return "open" if self.said >= 0.5 else "unsaid"

    @property
    def line(self) -> str:
        """What it is, for people."""
        said = f"said word for word in {self.said:.0%}"
        if self.kind in ("one value", "few values"):
            listed = ", ".join(f"{_short(value)} ({n:,})" for value, n in self.common)
            said = listed + (", ..." if self.values > len(self.common) else "")
        values = f"{self.values:,} value" + ("" if self.values == 1 else "s")
        return f"field {self.name}: {values} in {self.texts / self.of:.0%} of the texts; {said}"

    @property
    def advice(self) -> Iterable[str]:
        """What a reader would worry about."""
        if self.kind == "one value":
            yield f"field '{self.name}' has one value: no control can learn anything of it"
        if self.kind == "unsaid":
            rows = "a value a row" if 2 * self.values > self.texts else f"{self.values:,} values"
            yield (
                f"field '{self.name}' has {rows}, which the texts do not say: no control can "
                "learn it"
            )
        if self.kind == "open":
            yield f"field '{self.name}' is open: its values are copied, as names are"
        if self.kind == "few values" and self.contradicted > _WORRYING * self.texts:
            yield (
                f"field '{self.name}' contradicts itself: {self.contradicted:,} of {self.texts:,} "
                "texts stand in the corpus with another value, too"
            )
        if 2 * self.texts < self.of:
            yield (
                f"field '{self.name}' is missing in {1 - self.texts / self.of:.0%} of the texts, "
                "which teach nothing of it"
            )


def look_at_fields(examples: Sequence[Example]) -> tuple[FieldReport, ...]:
    """A report of each field, in the order in which they appear."""
    counts: dict[str, Counter[str]] = {}
    said: Counter[str] = Counter()
    spelled: dict[str, str] = {}
    values_of: dict[tuple[str, str], Counter[str]] = {}
    copies = Counter(example.text for example in examples)
    for example in examples:
        text = _spelled(example.text)
        for name, value in example.fields.items():
            counts.setdefault(name, Counter())[value] += 1
            if value not in spelled:
                spelled[value] = _spelled(value)
            said[name] += spelled[value] in text
            if copies[example.text] > 1:
                values_of.setdefault((name, example.text), Counter())[value] += 1
    contradicted: Counter[str] = Counter()
    for (name, _), stated in values_of.items():
        contradicted[name] += stated.total() if len(stated) > 1 else 0
    return tuple(
        FieldReport(
            name, found.total(), len(examples), len(found), said[name] / found.total(),
            tuple(found.most_common(3)), contradicted[name],
        )
        for name, found in counts.items()
    )  # fmt: skip


def _spelled(text: str) -> str:
    return f" {' '.join(tokenise(text.casefold()))} "


def _short(text: str, most: int = 30) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
