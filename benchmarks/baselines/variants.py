"""Our row, and the AR base, at other settings: what the figures beside the tables are made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.baselines.ar import AR
from benchmarks.baselines.diffusion import Ours
from benchmarks.baselines.lab import Lab
from dlm_core.config import SamplingConfig

STEPS = (5, 10, 20, 50, 200)
ONE_DRAFT = "dlm, 1 draft"
"""Draws once, as every other system does."""
TEMPERATURES = (0.5, 0.7, 1.0, 1.3, 1.6)


def by_steps(steps: int) -> str:
    """Its name."""
    return f"dlm, {steps} steps"


def by_temperature(temperature: float, system: str = "dlm") -> str:
    """Its name."""
    return f"{system}, temperature {temperature:g}"


def _at(sampling: SamplingConfig) -> Callable[[Lab], Ours]:
    return lambda lab: Ours(lab, sampling)


SYSTEMS = {
    ONE_DRAFT: _at(SamplingConfig(drafts=1, corrections=0)),
    **{by_steps(n): _at(SamplingConfig(steps=n)) for n in STEPS},
    **{by_temperature(t): _at(SamplingConfig(temperature=t)) for t in TEMPERATURES},
    **{by_temperature(t, "AR"): partial(AR, temperature=t) for t in TEMPERATURES},
}
