"""Length (§6.2): within two words of the target, and exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from benchmarks.baselines.base import Whole
from benchmarks.baselines.lab import Lab
from benchmarks.paper.tasks.base import LOOKED_AT, Scores, Target, Task, each
from dlm_controls import Length
from dlm_core.control.compose import ControlSpec, as_controls

NEAR = 2


def counted(spec: ControlSpec, text: str) -> dict[str, float]:
    """Within `NEAR` words, as the paper says, and exactly, as the release judges."""
    assert isinstance(spec, Length)
    return {
        "near": float(abs(len(text.split()) - spec.words) <= NEAR),
        "exact": float(spec.verify(text).satisfied or False),
    }


class LengthTask(Task):
    """10 to 40 words."""

    name, title = "length", "Length"
    measures: ClassVar[dict[str, str]] = {"near": "within 2 words", "exact": "exact length"}
    looked_at = LOOKED_AT

    def all_targets(self, lab: Lab) -> list[Target]:
        """As `Task`."""
        return [Target(as_controls(Length(n)), "") for n in range(10, 41)]

    def judge(self, targets: Sequence[Target], groups: Sequence[Sequence[str]]) -> Scores:
        """As `Task`."""
        return each(targets, groups, lambda t, x: counted(t.controls.terms[0].spec, x))


class Words(Whole):
    """Read by counting."""

    kind, fudge_weight, lr, fluency = "length", 2.0, 0.1, 0.01

    def read(self, lab: Lab, texts: Sequence[Sequence[str]]) -> list[Sequence[ControlSpec]]:
        """The length of each text."""
        return [(Length(len(words)),) for words in texts]

    def codes(self, spec: ControlSpec) -> list[str]:
        """The number."""
        assert isinstance(spec, Length)
        return [f"length:{spec.words}"]

    def event(self, spec: ControlSpec, i: int) -> list[str]:
        """How many words are left; -1 where END is read in time."""
        assert isinstance(spec, Length)
        return [f"length:{max(-2, spec.words - i)} left"]


TASKS, CONDITION = (LengthTask(),), Words()
