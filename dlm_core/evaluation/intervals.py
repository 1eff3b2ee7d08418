"""Intervals: BCa bootstrap over targets, Wilson for shares of 0 and 1.

A figure is a function of sums: each target has a row of statistics (a mean has two, the sum of its
values and their number), rows are added over targets, and the function makes a figure of the total.
Resampling targets, not texts, keeps together the texts of one target, which resemble each other.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Total = Callable[[Array], Array]
"""Sums (..., K) -> the figure (...)."""
LEVEL = 0.95
RESAMPLES = 9999
_BATCH = 2_000_000
"""Numbers that a batch of resamples may hold."""


@dataclass(frozen=True)
class Interval:
    """A 95% interval, and how it was made."""

    low: float
    high: float
    how: Literal["bca", "percentile", "wilson"]


def mean(totals: Array) -> Array:
    """Sums of values and of their number (..., 2) -> their mean; NaN where there are none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(totals[..., 0] / totals[..., 1])


def interval(rows: Array, total: Total, share: bool = False) -> Interval | None:
    """The interval of total(sum of rows).

    Args:
        rows: (N, K), the statistics of each target.
        total: makes the figure.
        share: it is a share, in [0, 1]; at 0 and at 1, where no resample differs from another,
            Wilson's interval for N independent targets takes the bootstrap's place.

    Returns:
        None where there are fewer than two targets, or all resamples give one figure.
    """
    figure = float(total(rows.sum(0)))
    if len(rows) < 2 or math.isnan(figure):
        return None
    if share and figure in (0.0, 1.0):
        return wilson(round(figure * len(rows)), len(rows))
    return _bootstrap((rows,), total)


def ratio_interval(first: Array, over: Total, second: Array, under: Total) -> Interval | None:
    """The interval of over(first) / under(second), each resampled by its own targets.

    None where one of them has fewer than two.
    """
    if min(len(first), len(second)) < 2:
        return None
    return _bootstrap((first, second), lambda a, b: over(a) / under(b))


def paired_interval(first: Array, second: Array, total: Total) -> Interval | None:
    """The interval of total(first) - total(second), both resampled by the same targets; (N, K)."""
    width = first.shape[1]

    def difference(sums: Array) -> Array:
        return total(sums[..., :width]) - total(sums[..., width:])

    return interval(np.concatenate([first, second], axis=1), difference)


def wilson(held: int, trials: int, level: float = LEVEL) -> Interval:
    """Wilson's score interval of a share of `trials` independent ones."""
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    share, doubt = held / trials, z2 / trials
    middle, root = share + doubt / 2, math.sqrt(doubt * (share * (1 - share) + doubt / 4))
    low, high = (middle - root) / (1 + doubt), (middle + root) / (1 + doubt)
    return Interval(max(0.0, low), min(1.0, high), "wilson")


def _bootstrap(samples: tuple[Array, ...], figure: Callable[..., Array]) -> Interval | None:
    """Resample the rows of each sample by themselves; `figure` takes the sums of each."""
    from scipy.stats import DegenerateDataWarning, bootstrap

    def statistic(*places: NDArray[np.int64], axis: int = -1) -> Array:
        drawn = zip(samples, places, strict=True)
        return figure(*(rows[np.moveaxis(p, axis, -1)].sum(-2) for rows, p in drawn))

    methods: tuple[Literal["bca", "percentile"], ...] = ("bca", "percentile")
    for how in methods:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", DegenerateDataWarning)
            warnings.simplefilter("ignore", RuntimeWarning)
            found: Any = bootstrap(
                tuple(np.arange(len(rows)) for rows in samples),
                statistic,
                n_resamples=RESAMPLES,
                batch=max(1, _BATCH // sum(rows.size for rows in samples)),
                confidence_level=LEVEL,
                method="BCa" if how == "bca" else how,
                rng=np.random.default_rng(0),
            )
        low, high = (float(v) for v in found.confidence_interval)
        if high - low > 1e-9:  # NaN is not, nor where every resample gives one figure
            return Interval(low, high, how)
    return None
