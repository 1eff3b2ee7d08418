"""Figures with 95% intervals, drawn again over targets: texts of one target are alike."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean

import numpy as np
from scipy.stats import binomtest, bootstrap

RESAMPLES = 2000


@dataclass(frozen=True)
class Figure:
    """A value, its 95% interval, and over how many targets."""

    value: float
    low: float
    high: float
    targets: int


def mean(values: Sequence[float], share: bool = True) -> Figure:
    """Mean of one number a target, by BCa bootstrap; Wilson's interval at 0 and 1 of a share.

    Where all targets agree on another number there is nothing to draw again from: the interval is
    that number.
    """
    value = fmean(values)
    count = len(values)
    if len(set(values)) == 1:
        if share and value in (0.0, 1.0):
            found = binomtest(round(value * count), count).proportion_ci(method="wilson")
            return Figure(value, float(found.low), float(found.high), count)
        return Figure(value, value, value, count)
    low, high = _interval(values, "BCa")
    if not (isfinite(low) and isfinite(high)):  # too few different values for the acceleration
        low, high = _interval(values, "percentile")
    return Figure(value, low, high, count)


def difference(ours: Sequence[float], theirs: Sequence[float]) -> Figure:
    """Mean of ours - theirs, whose entries belong to the same targets."""
    return mean([a - b for a, b in zip(ours, theirs, strict=True)], share=False)


def _interval(values: Sequence[float], method: str) -> tuple[float, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns of what is looked at above
        found = bootstrap(
            (np.asarray(values, float),), np.mean, n_resamples=RESAMPLES, method=method, rng=0
        ).confidence_interval
    return float(found.low), float(found.high)
