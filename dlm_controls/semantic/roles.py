"""Which field a name in a text belongs to: by the words beside it, naive Bayes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

_BESIDE = (-2, -1, 0, 1)
"""Places beside a name that are looked at: two before it, two after it."""
_KEPT = 400
TOTAL = ""


def _seen(words: Sequence[str], start: int, end: int) -> Iterator[str]:
    for step in _BESIDE:
        at = start + step if step < 0 else end + step
        yield f"{step} {words[at] if 0 <= at < len(words) else '.'}"


class Roles:
    """p(field | the words beside a name), from counts.

    Args:
        cues: of each field how often which word stands where; of `TOTAL` how many names there are.
    """

    def __init__(self, cues: dict[str, dict[str, int]]) -> None:
        self.cues = cues

    @classmethod
    def count(cls, mentions: Iterable[tuple[str, Sequence[str], int, int]]) -> Roles:
        """From names whose field is known: (field, words of the text, start, end)."""
        cues: dict[str, Counter[str]] = {}
        for field, words, start, end in mentions:
            counts = cues.setdefault(field, Counter())
            counts.update(_seen(words, start, end))
            counts[TOTAL] += 1
        return cls({field: dict(counts.most_common(_KEPT)) for field, counts in cues.items()})

    def field(self, known: Mapping[str, int], words: Sequence[str], start: int, end: int) -> str:
        """The likeliest field.

        Args:
            known: of the fields that have this name, how many texts have it so.
            words: of the text.
            start: where the name begins.
            end: where it ends.
        """
        scores = {}
        for field, counts in self.cues.items():
            total = counts.get(TOTAL, 0)
            score = math.log(known.get(field, 0) + 1.0)
            for cue in _seen(words, start, end):
                score += math.log((counts.get(cue, 0) + 0.5) / (total + 50.0))
            scores[field] = score
        return max(scores or known, key=lambda f: scores.get(f, 0.0))
