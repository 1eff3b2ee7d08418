"""One text of a corpus, and what reads them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlm_core.errors import UsageError


@dataclass(frozen=True)
class Example:
    """One text of a corpus.

    Attributes:
        text: the text.
        fields: what else the corpus says of it: its meaning representation, a label.
        sentences: the text's, where the corpus has them apart; empty where it does not.
    """

    text: str
    fields: dict[str, str] = field(default_factory=dict)
    sentences: tuple[str, ...] = field(default=(), compare=False)

    @property
    def fault(self) -> tuple[str, str] | None:
        """What is wrong with it, and what was expected: a reader may have made it of anything."""
        if not isinstance(self.text, str):
            return f"an Example whose text is {self.text!r}", "a str"
        if not isinstance(self.fields, dict) or not all(
            isinstance(word, str) for pair in self.fields.items() for word in pair
        ):
            return f"an Example whose fields are {self.fields!r}", "a dict of str to str"
        if not isinstance(self.sentences, tuple) or not all(
            isinstance(sentence, str) for sentence in self.sentences
        ):
            return f"an Example whose sentences are {self.sentences!r}", "a tuple of str"
        return None


CorpusReader = Callable[[Path], Iterator[Example]]
"""A reader may also take `encoding`, a name or None, and `options`, what stands behind `#`."""


def broken(path: Path, place: str | int, what: str, hint: str | None = None) -> UsageError:
    """The error for a row that cannot be read.

    Args:
        path: the corpus.
        place: its line, or another name for where it stands.
        what: what is wrong with it.
        hint: what to do; mending the row if omitted.
    """
    where = f"line {place}" if isinstance(place, int) else place
    return UsageError(f"{path}, {where}: {what}", hint or "mend or remove this row")


def spaced(text: str) -> str:
    """A text with single blanks between its words, and none around it."""
    return " ".join(text.split())


def scalar_fields(row: Mapping[str, Any], without: tuple[str, ...]) -> dict[str, str]:
    """The other values of a row, as strings: what is empty, null, a list or an object is none.

    A number that is none (NaN) is no value either, and 1.0 is 1: a data frame makes both of
    integers where one is missing.
    """
    values = {k: _spelt(v) for k, v in row.items() if isinstance(v, str | int | float)}
    return {k: v for k, v in values.items() if k not in without and v.strip()}


def _spelt(value: str | int | float) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.0f}" if value.is_integer() else str(value)
    return str(value)
