"""Intervals against scipy called plainly, against closed forms, and by what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap

from dlm_core.evaluation.figures import Units, differences, ratio
from dlm_core.evaluation.intervals import (
    RESAMPLES,
    interval,
    mean,
    paired_interval,
    ratio_interval,
    wilson,
)
from dlm_core.evaluation.references import bleu_of_counts


def with_ones(values: np.ndarray) -> np.ndarray:
    return np.stack([values, np.ones(len(values))], axis=1)


def test_the_interval_of_a_mean_is_scipys_bca() -> None:
    values = np.random.default_rng(1).exponential(size=40)  # skew: BCa is not the percentiles
    plain = bootstrap((values,), np.mean, n_resamples=RESAMPLES, rng=np.random.default_rng(0))
    found = interval(with_ones(values), mean)
    assert found is not None and found.how == "bca"
    assert (found.low, found.high) == pytest.approx(tuple(plain.confidence_interval))


def test_targets_are_resampled_whole() -> None:
    """Ten texts a target that are all alike tell no more than one of each."""
    values = np.random.default_rng(2).random(30)
    one = interval(with_ones(values), mean)
    ten = interval(10 * with_ones(values), mean)
    assert one is not None and ten is not None
    assert (one.low, one.high) == pytest.approx((ten.low, ten.high))


@pytest.mark.parametrize(("held", "trials"), [(0, 10), (10, 10), (40, 40)])
def test_wilson_solves_its_equation(held: int, trials: int) -> None:
    found, z, share = wilson(held, trials), 1.959963984540054, held / trials
    bounds = [b for b in (found.low, found.high) if not math.isclose(b, share)]
    for p in bounds:
        assert abs(share - p) == pytest.approx(z * math.sqrt(p * (1 - p) / trials))
    assert bounds, "never a point"


@given(st.integers(1, 300), st.floats(0, 1), st.sampled_from((0.9, 0.95)))
def test_wilson_is_scipys(trials: int, share: float, level: float) -> None:
    held = round(share * trials)
    found = wilson(held, trials, level)
    plain = binomtest(held, trials).proportion_ci(level, method="wilson")
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=1e-9)


def test_shares_at_their_ends_have_wilsons_interval_and_constants_none() -> None:
    all_held = interval(with_ones(np.ones(20)), mean, share=True)
    assert all_held is not None and all_held.how == "wilson" and all_held.low < 1
    assert interval(with_ones(np.ones(20)), mean) is None
    assert interval(with_ones(np.full(20, 0.5)), mean, share=True) is None
    assert interval(with_ones(np.ones(1)), mean, share=True) is None
    assert interval(np.zeros((5, 2)), mean) is None, "nothing was measured"


def test_a_paired_interval_is_that_of_the_differences() -> None:
    random = np.random.default_rng(3)
    first, step = random.normal(size=50), random.normal(0.3, 0.1, size=50)
    found = paired_interval(with_ones(first + step), with_ones(first), mean)
    plain = interval(with_ones(step), mean)
    assert found is not None and plain is not None
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high))
    assert found.low > 0, "unpaired it would hold 0: the targets differ more than the systems"


def test_intervals_cover() -> None:
    """Of 40 samples of an exponential about 37 hold its mean; fewer than 31 is one in 1000."""
    random = np.random.default_rng(4)
    held = 0
    for _ in range(40):
        found = interval(with_ones(random.exponential(size=60)), mean)
        assert found is not None
        held += found.low <= 1 <= found.high
    assert held >= 31


def test_units_are_the_targets_or_the_texts_of_one() -> None:
    units = Units.of(["a", "b", "a", "c"])
    assert (units.what, units.owner) == ("targets", (0, 1, 0, 2))
    figure = units.figure("x", "%", [1.0, 0.0, None, 0.0])
    assert figure.value == pytest.approx(1 / 3) and figure.texts == 3
    assert Units.of(["a", "a"]).what == "texts"
    assert math.isnan(units.figure("x", "%", [None] * 4).value)


def test_differences_go_by_target_not_by_order() -> None:
    first = Units.of(["a", "b", "c"]).figure("x", "", [1.0, 2.0, 4.0])
    second = Units.of(["c", "a", "b"]).figure("x", "", [3.5, 0.9, 1.7])
    (found,) = differences([first], [second], [1, 2, 0])
    assert found.value == pytest.approx(0.9 / 3)
    assert found.bounds is not None and 0.1 <= found.bounds.low < found.bounds.high <= 0.5


def test_bleu_of_many_sums_is_sacrebleus() -> None:
    random = np.random.default_rng(5)
    for _ in range(100):
        totals = np.sort(random.integers(0, 30, 4))[::-1]
        matches = [int(random.integers(0, n + 1)) for n in totals]
        length, wanted = int(totals[0]) or 1, int(random.integers(1, 30))
        plain = sacrebleu.BLEU.compute_bleu(
            list(matches), totals.tolist(), length, wanted, smooth_method="exp"
        ).score
        row = np.array([length, wanted, *matches, *totals], dtype=float)
        assert bleu_of_counts(np.stack([row, row]))[1] == pytest.approx(plain, abs=1e-9)


def test_a_ratios_interval_is_the_delta_methods_where_both_have_many_texts() -> None:
    """Var(a / b) is about (a / b)^2 (Var(a) / a^2 + Var(b) / b^2)."""
    random = np.random.default_rng(5)
    first, second = random.normal(2.0, 0.5, size=400), random.normal(1.6, 0.4, size=200)
    found = ratio_interval(with_ones(first), mean, with_ones(second), mean)
    value = first.mean() / second.mean()
    relative = sum(x.var(ddof=1) / len(x) / x.mean() ** 2 for x in (first, second))
    half = 1.96 * value * math.sqrt(relative)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((value - half, value + half), rel=0.01)
    units = Units.of([""] * 400), Units.of([""] * 200)
    figures = [u.figure("x", "nats", list(x)) for u, x in zip(units, (first, second), strict=True)]
    over = ratio(*figures)
    assert over.value == pytest.approx(value) and over.bounds == found
    assert ratio_interval(with_ones(first), mean, with_ones(second[:1]), mean) is None
