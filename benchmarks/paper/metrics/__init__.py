"""What is measured of texts beside success, a file each: a module that has `METRICS`.

A metric is `(lab, targets, groups) -> numbers of each target`; None where it cannot be measured
here (a package or an encoder is missing).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pkgutil import iter_modules

from benchmarks.baselines.lab import Lab
from benchmarks.paper.tasks.base import Target

Metric = Callable[[Lab, Sequence[Target], Sequence[Sequence[str]]], list[list[float]] | None]


def metrics() -> dict[str, Metric]:
    """Every metric by name."""
    found: dict[str, Metric] = {}
    for module in iter_modules(__path__):
        found.update(getattr(import_module(f"{__name__}.{module.name}"), "METRICS", {}))
    return found
