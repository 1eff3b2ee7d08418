"""alpha_bar against its published forms, and the Gaussians of the forward process against Bayes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dlm_core.diffusion.schedule import NoiseSchedule, ScheduleName

NAMES: tuple[ScheduleName, ...] = ("sqrt", "cosine", "linear")
TIMES = st.floats(0.001, 0.999)


def at(schedule: NoiseSchedule, t: float) -> float:
    return float(schedule.alpha_bar(torch.tensor(t, dtype=torch.float64)))


def test_sqrt_starts_at_the_published_noise() -> None:
    # App. A: s = 1e-4 is an initial standard deviation of 0.1
    schedule = NoiseSchedule("sqrt")
    assert at(schedule, 0.0) == pytest.approx(0.99, abs=1e-12)
    assert math.sqrt(1 - at(schedule, 0.0)) == pytest.approx(0.1, abs=1e-12)


@pytest.mark.parametrize(
    ("t", "value"), [(0.01 - 1e-4, 0.9), (0.25 - 1e-4, 0.5), (0.81 - 1e-4, 0.1)]
)
def test_sqrt_at_points_where_the_root_is_exact(t: float, value: float) -> None:
    assert at(NoiseSchedule("sqrt"), t) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(("steps", "published"), [(2000, 0.121), (200, 0.249), (50, 0.365)])
def test_the_last_noise_of_a_rebuilt_grid_matches_the_release(steps: int, published: float) -> None:
    # The release's cumulative product starts at 1 where alpha_bar(0) is 0.99: its std is relative
    # to x at t = 0. Ours is absolute, 1 - alpha_bar = 1 - 0.99 (1 - std^2),
    # which gives 0.156, 0.267 and 0.377.
    schedule = NoiseSchedule("sqrt", 2000)
    last = schedule.timesteps(steps, "rebuilt")[-1]
    relative = 1 - float(schedule.alpha_bar(last)) / at(schedule, 0.0)
    assert math.sqrt(relative) == pytest.approx(published, abs=6e-4)


def test_respacing_keeps_the_last_noise_of_training() -> None:
    schedule = NoiseSchedule("sqrt", 2000)
    for steps in (2, 20, 200, 2000):
        assert float(schedule.timesteps(steps)[-1]) == pytest.approx(1 / 2000, abs=1e-15)
    std = math.sqrt(1 - at(schedule, 1 / 2000))
    assert std == pytest.approx(math.sqrt(0.01 + 0.99 * 0.121**2), abs=1e-3)


def test_a_grid_falls_from_one_and_as_many_steps_as_training_are_trainings() -> None:
    schedule = NoiseSchedule("sqrt", 40)
    for steps in (1, 2, 7, 40):
        grid = schedule.timesteps(steps)
        assert len(grid) == steps and grid[0] == 1.0
        assert bool((grid[1:] < grid[:-1]).all())
    expected = torch.arange(40, 0, -1, dtype=torch.float64) / 40
    torch.testing.assert_close(schedule.timesteps(40), expected)


def test_cosine_is_nichol_and_dhariwals() -> None:
    def f(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    schedule = NoiseSchedule("cosine")
    for t in (0.1, 0.25, 0.5, 0.75, 0.9, 0.99):
        assert at(schedule, t) / at(schedule, 0.0) == pytest.approx(f(t) / f(0), rel=1e-9)


def test_linear_is_the_limit_of_ho_et_als_thousand_steps() -> None:
    beta = np.linspace(1e-4, 0.02, 1000)
    log_alpha_bar = np.log1p(-beta).cumsum()
    schedule = NoiseSchedule("linear")
    for k in (100, 300, 500, 800, 1000):
        assert math.log(at(schedule, k / 1000)) == pytest.approx(log_alpha_bar[k - 1], rel=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_alpha_bar_falls_and_stays_inside_zero_and_one(name: ScheduleName) -> None:
    alpha_bar = NoiseSchedule(name).alpha_bar(torch.linspace(0, 1, 2001, dtype=torch.float64))
    assert bool((alpha_bar[1:] <= alpha_bar[:-1]).all())
    above = alpha_bar[:-1] > 1.01e-5  # the floor that keeps x_0 recoverable
    assert int(above.sum()) > 1990
    assert bool((alpha_bar[1:] < alpha_bar[:-1])[above].all())
    assert 0 < float(alpha_bar[-1]) < 3e-4 and 0.98 < float(alpha_bar[0]) < 1


@pytest.mark.parametrize("name", NAMES)
@given(times=st.tuples(TIMES, TIMES), x_0=st.floats(-3, 3), x_t=st.floats(-3, 3))
def test_q_posterior_is_bayes_rule_on_the_joint_gaussian(
    name: ScheduleName, times: tuple[float, float], x_0: float, x_t: float
) -> None:
    s, t = min(times), max(times) + 1e-3
    schedule = NoiseSchedule(name)
    ab_s, ab_t = at(schedule, s), at(schedule, t)
    alpha = ab_t / ab_s
    # x_s = sqrt(ab_s) x_0 + e and x_t = sqrt(alpha) x_s + e': jointly Gaussian; condition on x_t
    joint = np.array([[1.0, 0.0], [math.sqrt(alpha), 1.0]])
    covariance = joint @ np.diag([1 - ab_s, 1 - alpha]) @ joint.T
    mean = joint @ np.array([math.sqrt(ab_s) * x_0, 0.0])
    gain = covariance[0, 1] / covariance[1, 1]
    expected_mean = mean[0] + gain * (x_t - mean[1])
    expected_var = covariance[0, 0] - gain * covariance[1, 0]

    as_tensor = lambda v: torch.full((1, 1, 1), v, dtype=torch.float64)  # noqa: E731
    times_ = (torch.tensor([t], dtype=torch.float64), torch.tensor([s], dtype=torch.float64))
    found = schedule.q_posterior(as_tensor(x_0), as_tensor(x_t), *times_)
    assert float(found.mean) == pytest.approx(expected_mean, rel=1e-6, abs=1e-7)
    assert float(found.var) == pytest.approx(expected_var, rel=1e-5, abs=1e-9)


def test_q_posterior_is_what_simulation_regresses() -> None:
    schedule, rng, n = NoiseSchedule("sqrt"), np.random.default_rng(0), 400_000
    s, t, x_0 = 0.2, 0.5, 0.7
    ab_s, ab_t = at(schedule, s), at(schedule, t)
    alpha = ab_t / ab_s
    x_s = math.sqrt(ab_s) * x_0 + math.sqrt(1 - ab_s) * rng.standard_normal(n)
    x_t = math.sqrt(alpha) * x_s + math.sqrt(1 - alpha) * rng.standard_normal(n)
    fit = stats.linregress(x_t, x_s)
    a, b, var = (float(c) for c in schedule.posterior_coefficients(*torch.tensor([[t], [s]])))
    assert b == pytest.approx(fit.slope, abs=4 * fit.stderr)
    assert a * x_0 == pytest.approx(fit.intercept, abs=4 * fit.intercept_stderr)
    residual = x_s - fit.intercept - fit.slope * x_t
    assert var == pytest.approx(residual.var(), rel=4 * math.sqrt(2 / n))


@pytest.mark.parametrize("name", NAMES)
def test_q_sample_has_the_moments_of_q(name: ScheduleName) -> None:
    schedule, n = NoiseSchedule(name), 200_000
    noise = torch.randn(n, 1, 1, generator=torch.Generator().manual_seed(0))
    t = torch.full((n,), 0.3)
    x_t = schedule.q_sample(torch.full((n, 1, 1), 1.5), t, noise)
    alpha_bar = at(schedule, 0.3)
    assert float(x_t.mean()) == pytest.approx(math.sqrt(alpha_bar) * 1.5, abs=4 * n**-0.5)
    assert float(x_t.var()) == pytest.approx(1 - alpha_bar, rel=4 * math.sqrt(2 / n))


def test_going_through_x_s_gives_the_distribution_of_x_t() -> None:
    schedule, n, x_0 = NoiseSchedule("sqrt"), 50_000, torch.tensor(0.8)
    a, b, c = torch.randn(3, n, 1, 1, generator=torch.Generator().manual_seed(1))
    s, t = torch.full((n,), 0.1), torch.full((n,), 0.6)
    x_s = schedule.q_sample(x_0.expand(n, 1, 1), s, a)
    alpha = (schedule.alpha_bar(t) / schedule.alpha_bar(s))[:, None, None]
    through = alpha.sqrt() * x_s + (1 - alpha).sqrt() * b
    direct = schedule.q_sample(x_0.expand(n, 1, 1), t, c)
    assert stats.ks_2samp(through.flatten().numpy(), direct.flatten().numpy()).pvalue > 0.01


def test_a_power_below_one_moves_steps_to_high_noise_and_keeps_the_ends() -> None:
    schedule = NoiseSchedule("sqrt", 2000)
    even, dense = schedule.timesteps(25), schedule.timesteps(25, power=0.5)
    assert float(dense[0]) == 1.0 and float(dense[-1]) == pytest.approx(1 / 2000)
    assert bool((dense[1:-1] > even[1:-1]).all())
    # t = u^(1/2): half of the steps lie above t = sqrt(1/2)
    assert int((dense > math.sqrt(0.5)).sum()) == pytest.approx(12.5, abs=1)
