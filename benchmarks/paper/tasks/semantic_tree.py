"""Semantic content and a syntax tree at once (§7.2, Table 4)."""

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
from benchmarks.paper.tasks.semantic import said
from benchmarks.paper.tasks.tree import bare, f1_scores, trees_of
from dlm_controls.tree.bracketing import ParseTree


class SemanticTreeTask(Task):
    """The released facts, and the trees of the sentences beside them."""

    name, title = "semantic_tree", "Semantic Content + Syntax Tree"
    measures: ClassVar[dict[str, str]] = {
        "value": "semantic ctrl",
        "f1": "syntax ctrl",
        "satisfied": "both verdicts",
    }
    looked_at = LOOKED_AT

    def all_targets(self, lab: Lab) -> list[Target]:
        """As `Task`."""
        rows = released(lab, "semantic_pos")
        own = [unframed(row, "words_") for row in rows]
        return [
            Target(fact(row["attr"]) + bare(tree), " ".join(words))
            for row, words, tree in zip(rows, own, trees_of(lab, own), strict=True)
            if isinstance(tree, ParseTree)
        ]

    def judge(self, targets: Sequence[Target], groups: Sequence[Sequence[str]]) -> Scores:
        """As `Task`."""
        facts = each(targets, groups, lambda t, x: said(t.controls.terms[0].spec, x))
        trees = f1_scores([t.controls.terms[1].spec for t in targets], groups)
        both = [
            [a * b for a, b in zip(*pair, strict=True)]
            for pair in zip(facts["satisfied"], trees["exact"], strict=True)
        ]
        return {"value": facts["value"], "f1": trees["f1"], "satisfied": both}


TASKS = (SemanticTreeTask(),)
