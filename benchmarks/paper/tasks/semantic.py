"""Semantic content: a fact is said (§6.2). The value's words are the paper's measure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from benchmarks.baselines.base import Whole
from benchmarks.baselines.lab import Lab
from benchmarks.paper.tasks.base import LOOKED_AT, Scores, Target, Task, each, fact, released
from dlm_controls import Semantic
from dlm_controls.semantic.e2e.reader import read_mentions
from dlm_core.control.compose import ControlSpec, as_controls
from dlm_core.errors import UsageError


def said(spec: ControlSpec, text: str) -> dict[str, float]:
    """The value's words occur; they also stand in their field, and nothing contradicts them."""
    verdict = spec.verify(text)
    assert verdict.parts is not None
    return {"value": float(verdict.parts["value"]), "satisfied": float(verdict.satisfied or False)}


class SemanticTask(Task):
    """40 released facts."""

    name, title = "semantic", "Semantic Content"
    measures: ClassVar[dict[str, str]] = {
        "value": "value's words",
        "satisfied": "fact, uncontradicted",
    }
    looked_at = LOOKED_AT

    def all_targets(self, lab: Lab) -> list[Target]:
        """As `Task`."""
        return [Target(as_controls(fact(row)), "") for row in released(lab, "semantic")]

    def judge(self, targets: Sequence[Target], groups: Sequence[Sequence[str]]) -> Scores:
        """As `Task`."""
        return each(targets, groups, lambda t, x: said(t.controls.terms[0].spec, x))


class Fact(Whole):
    """Read by the rules of `semantic`."""

    kind, fudge_weight, lr, fluency = "semantic", 8.0, 0.1, 0.01

    def read(self, lab: Lab, texts: Sequence[Sequence[str]]) -> list[Sequence[ControlSpec]]:
        """The facts of each text."""
        return [
            tuple(dict.fromkeys(_spec(m.field, m.value) for m in read_mentions(words)))
            for words in texts
        ]

    def codes(self, spec: ControlSpec) -> list[str]:
        """The fact and the words of its value, which a network can copy."""
        return [*self.event(spec, 0), *(f"word:{word}" for word in _known(spec).mr_value.split())]

    def event(self, spec: ControlSpec, i: int) -> list[str]:
        """Field and value as the corpus spells them."""
        return [f"semantic:{_known(spec).mr_field}={_known(spec).mr_value}"]


def _known(spec: ControlSpec) -> Semantic:
    if not isinstance(spec, Semantic):
        raise UsageError(f"'{spec}' is no semantic control")
    return spec


def _spec(field: str, value: str) -> Semantic:
    return Semantic(field=field, value=value)


TASKS, CONDITION = (SemanticTask(),), Fact()
