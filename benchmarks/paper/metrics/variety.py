"""Variety of the texts of one target: distinct bigrams, and self-BLEU-4 from 0 to 100."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.baselines.lab import Lab
from benchmarks.paper.tasks.base import Target
from dlm_core.evaluation.variety import distinct_n, self_bleu


def distinct2(
    lab: Lab, targets: Sequence[Target], groups: Sequence[Sequence[str]]
) -> list[list[float]]:
    """Distinct bigrams over all bigrams; 0 where no text has two words."""
    return [
        [distinct_n(group, 2) if any(len(x.split()) > 1 for x in group) else 0.0]
        for group in groups
    ]


def self_bleu4(
    lab: Lab, targets: Sequence[Target], groups: Sequence[Sequence[str]]
) -> list[list[float]] | None:
    """How alike the texts are; None for one text a target."""
    return [[self_bleu(group)] for group in groups] if min(map(len, groups)) > 1 else None


METRICS = {"distinct2": distinct2, "self_bleu4": self_bleu4}
