"""Patterns of words: gaps, choices and runs, made of validation texts that fit them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from benchmarks.baselines.lab import Lab
from benchmarks.paper.tasks.base import LOOKED_AT, Scores, Target, Task, each
from dlm_controls import Pattern
from dlm_core.control.compose import as_controls

COUNT = 60


def holes(words: Sequence[str], rng: random.Random) -> str:
    """A third of the words as `*`, and a run of one to six as `...`."""
    items = ["*" if rng.random() < 1 / 3 else _escaped(word) for word in words]
    at = rng.randrange(len(items))
    return " ".join([*items[:at], "...", *items[at + rng.randint(1, 6) :]])


def _escaped(word: str) -> str:
    return "\\..." if word == "..." else "".join(f"\\{c}" if c in "*?()|\\" else c for c in word)


class PatternTask(Task):
    """See the module docstring."""

    name, title = "pattern", "Patterns"
    measures: ClassVar[dict[str, str]] = {"accepted": "accepted"}
    looked_at = LOOKED_AT

    def all_targets(self, lab: Lab) -> list[Target]:
        """As `Task`."""
        rng, known = random.Random(0), set(lab.model.vocab.plain_words)
        most = lab.model.info.max_words
        fitting = sorted({tuple(t) for t in lab.texts("valid") if 4 <= len(t) <= most})
        chosen = rng.sample([t for t in fitting if known.issuperset(t)], COUNT)
        return [Target(as_controls(Pattern(holes(t, rng))), " ".join(t)) for t in chosen]

    def judge(self, targets: Sequence[Target], groups: Sequence[Sequence[str]]) -> Scores:
        """As `Task`."""
        return each(
            targets,
            groups,
            lambda t, x: {"accepted": float(t.controls.terms[0].spec.verify(x).satisfied or False)},
        )


TASKS = (PatternTask(),)
