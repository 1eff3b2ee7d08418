"""What is measured of texts beside success, a file each: a module that has `METRICS`.

`JOINS = ("2",)` in it makes them columns of these tables; the JSON of cells holds every metric.
A metric is `(lab, targets, groups) -> numbers of each target`; None where it cannot be measured
here (a package or an encoder is missing).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.baselines.lab import Lab
from benchmarks.found import modules
from benchmarks.paper.tasks.base import Target

Metric = Callable[[Lab, Sequence[Target], Sequence[Sequence[str]]], list[list[float]] | None]


def metrics() -> dict[str, Metric]:
    """Every metric by name."""
    found: dict[str, Metric] = {}
    for module in modules(__name__):
        found.update(getattr(module, "METRICS", {}))
    return found
