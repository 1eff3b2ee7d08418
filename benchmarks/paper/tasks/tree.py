"""Syntax trees (§6.2): labelled F1 of brackets under the oracle parser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import ClassVar

from benchmarks.baselines.base import Whole
from benchmarks.baselines.lab import Lab
from benchmarks.paper.tasks.base import LOOKED_AT, Scores, Target, Task, released, unframed
from dlm_controls import Tree
from dlm_controls.tree.bracketing import ANY, ROOTS, ParseTree, labelled_f1
from dlm_controls.tree.oracle import parse_corpus, parse_words
from dlm_core.control.compose import ControlSpec, as_controls


def bare(tree: ParseTree) -> Tree:
    """The tree without its words and tags, as a control."""
    wild = replace(tree, words=(ANY,) * len(tree.words), tags=("",) * len(tree.words))
    return Tree(str(wild))


def trees_of(lab: Lab, texts: Sequence[Sequence[str]]) -> list[ParseTree | str]:
    """Parses, kept in the work folder."""
    return parse_corpus([" ".join(words) for words in texts], lab.work / "trees.jsonl")


def parsed(groups: Sequence[Sequence[str]]) -> list[list[ParseTree | None]]:
    """The oracle's tree of each text, None where it has none."""
    flat = parse_words([text.split() or ["."] for text in chain.from_iterable(groups)])
    trees = iter(flat)
    return [
        [tree if isinstance(tree := next(trees), ParseTree) else None for _ in g] for g in groups
    ]


def f1_scores(trees: Sequence[ControlSpec], groups: Sequence[Sequence[str]]) -> Scores:
    """F1 of each text, and whether it is 1."""
    f1 = [
        [labelled_f1(spec.parsed, tree) if tree else 0.0 for tree in found]  # type: ignore[attr-defined]
        for spec, found in zip(trees, parsed(groups), strict=True)
    ]
    return {"f1": f1, "exact": [[float(x == 1.0) for x in group] for group in f1]}


class TreeTask(Task):
    """The trees of the 100 sentences behind the released tags."""

    name, title = "tree", "Syntax Tree"
    measures: ClassVar[dict[str, str]] = {"f1": "labelled F1", "exact": "exact trees"}
    looked_at = LOOKED_AT

    def all_targets(self, lab: Lab) -> list[Target]:
        """As `Task`."""
        own = [unframed(row, "words_") for row in released(lab, "pos")]
        pairs = zip(trees_of(lab, own), own, strict=True)
        return [
            Target(as_controls(bare(tree)), " ".join(words))
            for tree, words in pairs
            if isinstance(tree, ParseTree)
        ]

    def judge(self, targets: Sequence[Target], groups: Sequence[Sequence[str]]) -> Scores:
        """As `Task`."""
        return f1_scores([t.controls.terms[0].spec for t in targets], groups)


class Brackets(Whole):
    """Read by the oracle parser."""

    kind, fudge_weight, lr, fluency = "tree", 20.0, 0.2, 0.0005

    def read(self, lab: Lab, texts: Sequence[Sequence[str]]) -> list[Sequence[ControlSpec]]:
        """The tree of each text."""
        return [
            (bare(tree),) if isinstance(tree, ParseTree) and tree.chains() else ()
            for tree in trees_of(lab, texts)
        ]

    def codes(self, spec: ControlSpec) -> list[str]:
        """Brackets and leaves."""
        assert isinstance(spec, Tree)
        return [f"tree:{x}" for x in spec.tree.replace(")", " )").split()]

    def labels(self, spec: ControlSpec) -> list[str]:
        """Of each word what opens before it and how many brackets close behind it."""
        assert isinstance(spec, Tree)
        tree = spec.parsed
        opening: list[list[str]] = [[] for _ in tree.words]
        closing = [0] * len(tree.words)
        for start, end, label in tree.brackets:
            if label not in ROOTS:
                opening[start].append(label)
                closing[end] += 1
        return [f"{' '.join(o)}|{c}" for o, c in zip(opening, closing, strict=True)]


TASKS, CONDITION = (TreeTask(),), Brackets()
