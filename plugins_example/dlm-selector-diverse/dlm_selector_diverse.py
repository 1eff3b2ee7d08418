"""diverse - texts that satisfy their controls and differ from each other.

Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from dlm_core import SelectorSpec, hookimpl

if TYPE_CHECKING:
    from dlm_core import Result


class Diverse(SelectorSpec):
    """Texts that satisfy their controls and differ from those taken before."""

    kind: ClassVar[str] = "diverse"
    positional: ClassVar[tuple[str, ...]] = ("relevance",)
    examples: ClassVar[tuple[str, ...]] = ("diverse", "diverse:relevance=0.2")

    relevance: float = Field(default=0.5, ge=0, le=1)

    def scores(self, candidates: Sequence[Result]) -> list[float]:
        """The value each text had when it was taken; what is taken later never has a higher one.

        A text's value falls as others like it are taken, so the greedy order is that of the scores.
        """
        pairs = [word_pairs(result.tokenised) for result in candidates]
        nearest = [0.0] * len(candidates)  # similarity to the likest text taken
        scores = [0.0] * len(candidates)
        left = set(range(len(candidates)))
        while left:
            for i in left:
                satisfied = self.relevance * held(candidates[i])
                scores[i] = satisfied - (1 - self.relevance) * nearest[i]
            best = max(left, key=lambda i: (scores[i], -candidates[i].seed))
            left.remove(best)
            for i in left:
                nearest[i] = max(nearest[i], similarity(pairs[i], pairs[best]))
        return scores


def held(result: Result) -> float:
    """Mean score of the controls that could be judged, in [0, 1]; 1 without any."""
    scores = [report.score for report in result.controls if report.score is not None]
    return sum(scores) / len(scores) if scores else 1.0


def word_pairs(text: str) -> frozenset[tuple[str, str]]:
    """Neighbouring words, the text's ends included."""
    words = ["", *text.casefold().split(), ""]
    return frozenset(itertools.pairwise(words))


def similarity(a: frozenset[tuple[str, str]], b: frozenset[tuple[str, str]]) -> float:
    """Jaccard's coefficient: the share of pairs they have in common."""
    return len(a & b) / len(a | b)


@hookimpl
def dlm_register_selectors(register: Callable[[type[SelectorSpec]], None]) -> None:
    """Register diverse."""
    register(Diverse)
