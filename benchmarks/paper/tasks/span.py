"""Syntax spans (§6.2): a constituent of a label over exactly these words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from benchmarks.baselines.base import Whole
from benchmarks.baselines.lab import Lab
from benchmarks.paper.tasks.base import LOOKED_AT, Scores, Target, Task, released, unframed
from benchmarks.paper.tasks.tree import parsed, trees_of
from dlm_controls import Span
from dlm_controls.tree.bracketing import ParseTree
from dlm_core.control.compose import ControlSpec, as_controls
from dlm_core.errors import SpecError

FAR = 8
"""Words between here and an end of the span that a discriminator tells apart."""


class SpanTask(Task):
    """The released spans whose label the judging parser gives."""

    name, title = "span", "Syntax Spans"
    measures: ClassVar[dict[str, str]] = {"exact": "exact spans"}
    looked_at = LOOKED_AT

    def all_targets(self, lab: Lab) -> list[Target]:
        """As `Task`."""
        found = []
        for row in released(lab, "span"):
            spec = Span(*row["spans"][0])
            try:
                spec.check(lab.model.info)
            except SpecError:  # NML: the parser never says it, so no system could succeed
                continue
            found.append(Target(as_controls(spec), " ".join(unframed(row, "words_"))))
        return found

    def judge(self, targets: Sequence[Target], groups: Sequence[Sequence[str]]) -> Scores:
        """As `Task`."""
        exact = []
        for target, found in zip(targets, parsed(groups), strict=True):
            spec = target.controls.terms[0].spec
            assert isinstance(spec, Span)
            exact.append([float(tree is not None and spec.holds(tree)) for tree in found])
        return {"exact": exact}


class Constituent(Whole):
    """Read by the oracle parser."""

    kind, fudge_weight, lr, fluency = "span", 20.0, 0.15, 0.1

    def read(self, lab: Lab, texts: Sequence[Sequence[str]]) -> list[Sequence[ControlSpec]]:
        """Every constituent of each text, by each of its labels and by their chain."""
        return [
            tuple(
                Span(start, end, label)
                for (start, end), chain in tree.chains().items()
                for label in dict.fromkeys([*chain, "::".join(chain)])
            )
            if isinstance(tree, ParseTree)
            else ()
            for tree in trees_of(lab, texts)
        ]

    def codes(self, spec: ControlSpec) -> list[str]:
        """Start, end and the labels of the chain."""
        assert isinstance(spec, Span)
        labels = [f"span:{label}" for label in spec.label.split("::")]
        return [f"span:from {spec.start}", f"span:to {spec.end}", *labels]

    def event(self, spec: ControlSpec, i: int) -> list[str]:
        """How many words lie before its start and its end, and its label."""
        assert isinstance(spec, Span)
        start, end = (max(-FAR, min(FAR, place - i)) for place in (spec.start, spec.end))
        return [f"span:{start}", f"span:{start} {end}", f"span:{spec.label} {start} {end}"]


TASKS, CONDITION = (SpanTask(),), Constituent()
