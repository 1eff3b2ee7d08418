"""Numbers of words that controls admit. Light: imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral


@dataclass(frozen=True)
class Lengths:
    """Numbers of words a control admits, from `low` to `high` (None: no upper bound)."""

    low: int = 1
    high: int | None = None
    among: frozenset[int] | None = None
    """The numbers themselves where they are no range."""

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Lengths:
        """Exactly these numbers."""
        found = frozenset(numbers)
        if not found:
            return cls(1, 0)
        low, high = min(found), max(found)
        return cls(low, high, None if len(found) == high - low + 1 else found)

    def __contains__(self, words: int) -> bool:
        inside = self.low <= words and (self.high is None or words <= self.high)
        return inside and (self.among is None or words in self.among)

    def __and__(self, other: Lengths) -> Lengths:
        numbers = self.among if self.among is not None else other.among
        if numbers is not None:
            return Lengths.of(n for n in numbers if n in self and n in other)
        highs = [h for h in (self.high, other.high) if h is not None]
        return Lengths(max(self.low, other.low), min(highs) if highs else None)

    @property
    def fault(self) -> tuple[str, str] | None:
        """What is wrong with it, and what was expected: a control may have made it of anything."""
        numbers = [self.low, *(() if self.high is None else (self.high,)), *(self.among or ())]
        shown = f"Lengths({self.low!r}, {self.high!r})"
        if any(not isinstance(n, Integral) or isinstance(n, bool) or n < 0 for n in numbers):
            return shown, "whole numbers of words, 0 or more"
        if self.empty and self != Lengths.of(()):  # which says that no length will do
            return shown, "low <= high"
        return None

    @property
    def empty(self) -> bool:
        """No number of words is left."""
        return self.high is not None and self.high < self.low

    def __str__(self) -> str:
        if self.among is not None:
            starts = sorted(n for n in self.among if n - 1 not in self.among)
            ends = sorted(n for n in self.among if n + 1 not in self.among)
            runs = [f"{a}" if a == b else f"{a} to {b}" for a, b in zip(starts, ends, strict=True)]
            return f"{', '.join(runs[:-1])} or {runs[-1]} words"
        if self.high is None:
            return f"at least {self.low} words"
        if self.low == self.high:
            return f"exactly {self.low} words"
        return f"{self.low} to {self.high} words"
