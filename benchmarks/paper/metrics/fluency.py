"""lm-score: nats a token under the teacher (§6.2), which no steering system has seen."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.baselines.lab import Lab
from benchmarks.paper.tasks.base import Target


def lm(lab: Lab, targets: Sequence[Target], groups: Sequence[Sequence[str]]) -> list[list[float]]:
    """Mean NLL a token of each text."""
    flat = iter(lab.teacher.nll([text for group in groups for text in group]))
    return [[next(flat) for _ in group] for group in groups]


METRICS = {"lm": lm}
