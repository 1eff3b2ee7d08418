"""Up to four conditions at once: a fact, its sentence's first five tags, words to avoid, length.

Beside Table 4: how success falls with the number of conditions.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from benchmarks.baselines.lab import Lab
from benchmarks.paper.tasks.base import (
    LOOKED_AT,
    Scores,
    Target,
    Task,
    each,
    fact,
    released,
    unframed,
)
from benchmarks.paper.tasks.semantic import said
from dlm_controls import Avoid, Length, Pos
from dlm_core.control.compose import Controls

TAGS, AVOIDED, FREQUENT = 5, 2, 40


def conditions(lab: Lab, count: int) -> list[Target]:
    """The first `count` of the conditions, for each released fact and sentence."""
    counts = Counter(w for words in lab.texts("train") for w in words if w.isalpha())
    common = [w for w, _ in counts.most_common(FREQUENT)]
    rng, found = random.Random(0), []
    for row in released(lab, "semantic_pos"):
        words, about = unframed(row, "words_"), fact(row["attr"])
        lacking = [w for w in common if w not in words and w not in about.value.split()]
        asked = (
            about,
            Pos(tags=(*unframed(row, "pos")[:TAGS], "...")),
            Avoid(tuple(rng.sample(lacking, AVOIDED))),
            Length(len(words)),
        )
        found.append(Target(sum(asked[:count], Controls()), " ".join(words)))
    return found


class MixedTask(Task):
    """See the module docstring."""

    def __init__(self, name: str, title: str, count: int) -> None:
        self.name, self.title, self.count = name, title, count

    name: str  # type: ignore[misc]
    title: str  # type: ignore[misc]
    measures: ClassVar[dict[str, str]] = {
        "all": "all hold, the fact by its words",
        "satisfied": "all verdicts",
    }
    looked_at = LOOKED_AT

    def all_targets(self, lab: Lab) -> list[Target]:
        """As `Task`."""
        return conditions(lab, self.count)

    def judge(self, targets: Sequence[Target], groups: Sequence[Sequence[str]]) -> Scores:
        """As `Task`."""

        def every(target: Target, text: str) -> dict[str, float]:
            first, *others = (term.spec for term in target.controls)
            rest = all(spec.verify(text).satisfied for spec in others)
            by_words = said(first, text)
            return {"all": by_words["value"] * rest, "satisfied": by_words["satisfied"] * rest}

        return each(targets, groups, every)


TASKS = tuple(
    MixedTask(name, f"{name.capitalize()} conditions", count)
    for count, name in enumerate(("one", "two", "three", "four"), 1)
)
