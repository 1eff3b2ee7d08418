"""Semantic content and parts of speech at once (§7.2, Table 4)."""

from __future__ import annotations

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
from benchmarks.paper.tasks.pos import tagged
from benchmarks.paper.tasks.semantic import said
from dlm_controls import Pos


class SemanticPosTask(Task):
    """100 released pairs of a fact and tags."""

    name, title = "semantic_pos", "Semantic Content + Parts-of-speech"
    measures: ClassVar[dict[str, str]] = {
        "value": "semantic ctrl",
        "words": "POS ctrl",
        "satisfied": "both verdicts",
    }
    looked_at = LOOKED_AT

    def all_targets(self, lab: Lab) -> list[Target]:
        """As `Task`."""
        return [
            Target(
                fact(row["attr"]) + Pos(tags=unframed(row, "pos")),
                " ".join(unframed(row, "words_")),
            )
            for row in released(lab, "semantic_pos")
        ]

    def judge(self, targets: Sequence[Target], groups: Sequence[Sequence[str]]) -> Scores:
        """As `Task`."""

        def both(target: Target, text: str) -> dict[str, float]:
            one, other = (term.spec for term in target.controls)
            a, b = said(one, text), tagged(other, text)
            return {
                "value": a["value"], "words": b["words"],
                "satisfied": a["satisfied"] * b["satisfied"],
            }  # fmt: skip

        return each(targets, groups, both)


TASKS = (SemanticPosTask(),)
