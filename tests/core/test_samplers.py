"""DDIM and ancestral steps against q(x_s | x_t, x_0), and exact denoisers of known data."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dlm_core.diffusion.samplers import ancestral, ddim, dpmpp_2m
from dlm_core.diffusion.schedule import NoiseSchedule

SCHEDULE = NoiseSchedule("sqrt", 2000)


def seeded(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, 1, 1, generator=torch.Generator().manual_seed(seed))


def gaussian_denoiser(mean: float, std: float):  # type: ignore[no-untyped-def]
    """E[x_0 | x_t] for x_0 ~ N(mean, std^2)."""

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        ab = SCHEDULE.alpha_bar(t)[:, None, None]
        gain = ab.sqrt() * std**2 / (ab * std**2 + 1 - ab)
        return mean + gain * (x_t - ab.sqrt() * mean)

    return denoise


@pytest.mark.parametrize(("t", "s"), [(1.0, 0.5), (0.7, 0.69), (0.01, 0.0005)])
def test_an_ancestral_step_draws_from_q_posterior(t: float, s: float) -> None:
    x_t, x_0, noise = seeded(64, 1), seeded(64, 2), seeded(64, 3)
    steps = []

    def note(x_s: Tensor, s: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        steps.append((x_s, mean, var))
        return x_s

    ancestral(lambda x, t: x_0, x_t, torch.tensor([t, s]), SCHEDULE, lambda: noise, note)
    times = torch.full((64,), t), torch.full((64,), s)
    expected = SCHEDULE.q_posterior(x_0, x_t, *times)
    ((x_s, mean, var),) = steps
    torch.testing.assert_close(mean, expected.mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(var, expected.var, atol=1e-6, rtol=1e-3)
    torch.testing.assert_close(x_s, mean + var.sqrt() * noise)


def test_ddim_without_noise_is_deterministic_and_keeps_eps() -> None:
    x_T, x_0 = seeded(16, 1), seeded(16, 2)  # noqa: N806
    seen = []

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        ab = SCHEDULE.alpha_bar(t)[:, None, None]
        seen.append((x - ab.sqrt() * x_0) / (1 - ab).sqrt())
        return x_0

    times = SCHEDULE.timesteps(10)
    a = ddim(denoise, x_T, times, SCHEDULE, lambda: seeded(16, 3), eta=0.0)
    b = ddim(denoise, x_T, times, SCHEDULE, lambda: 100 * seeded(16, 4), eta=0.0)
    assert torch.equal(a, b)
    for eps in seen[1:]:  # with x_0_hat held, a noiseless step moves along one eps
        torch.testing.assert_close(eps, seen[0], atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("eta", [0.3, 0.7])
def test_eta_scales_the_std_of_the_step(eta: float) -> None:
    x_t, x_0 = seeded(8, 1), seeded(8, 2)
    found = []

    def note(x_s: Tensor, s: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        found.append(var)
        return x_s

    ddim(lambda x, t: x_0, x_t, torch.tensor([0.6, 0.4]), SCHEDULE, lambda: x_0, eta, note)
    q = SCHEDULE.q_posterior(x_0, x_t, torch.full((8,), 0.6), torch.full((8,), 0.4))
    torch.testing.assert_close(found[0].sqrt(), eta * q.var.sqrt())


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1.5, 0.5), (-2.0, 0.3)])
def test_ancestral_sampling_with_the_exact_denoiser_gives_the_data(mean: float, std: float) -> None:
    n = 20_000
    generator = torch.Generator().manual_seed(0)
    x_T = torch.randn(n, 1, 1, generator=generator)  # noqa: N806
    times = SCHEDULE.timesteps(1000)
    draw = lambda: torch.randn(n, 1, 1, generator=generator)  # noqa: E731
    x_0 = ancestral(gaussian_denoiser(mean, std), x_T, times, SCHEDULE, draw)
    assert float(x_0.mean()) == pytest.approx(mean, abs=5 * std * n**-0.5 + 0.01)
    # The last estimate is E[x_0 | x_t] at t = 1/T: short of the data's variance by the factor
    # ab std^2 / (ab std^2 + 1 - ab); 1,000 steps lose up to 3% themselves.
    ab = float(SCHEDULE.alpha_bar(times[-1]))
    shrink = math.sqrt(ab * std**2 / (ab * std**2 + 1 - ab))
    assert float(x_0.std()) == pytest.approx(std * shrink, rel=0.05)


def test_ddim_with_the_exact_denoiser_transports_quantiles() -> None:
    # The probability flow of Gaussian data is affine: x_T at z standard deviations ends at z.
    mean, std = 1.0, 0.5
    z = torch.linspace(-2, 2, 9)[:, None, None]
    times = SCHEDULE.timesteps(1000)
    x_0 = ddim(gaussian_denoiser(mean, std), z, times, SCHEDULE, lambda: z, eta=0.0)
    ab = float(SCHEDULE.alpha_bar(times[-1]))
    shrink = math.sqrt(ab * std**2 / (ab * std**2 + 1 - ab))
    torch.testing.assert_close(x_0, mean + std * shrink * z, atol=0.03, rtol=0.03)


def test_dpm_solver_transports_quantiles_in_fewer_steps_than_ddim() -> None:
    # of Gaussian data, from t = 0.9 down, where the flow is known: x stays at z standard deviations
    mean, std = 1.0, 0.5
    z = torch.linspace(-2, 2, 9)[:, None, None]
    times = torch.linspace(0.9, 0.1, 9)

    def at(t: Tensor) -> Tensor:
        ab = SCHEDULE.alpha_bar(t)
        return ab.sqrt() * mean + (ab * std**2 + 1 - ab).sqrt() * z

    denoise = gaussian_denoiser(mean, std)
    exact = denoise(at(times[-1]), times[-1:].expand(9))
    errors = [
        float((found - exact).abs().max())
        for found in (
            dpmpp_2m(denoise, at(times[0]), times, SCHEDULE),
            ddim(denoise, at(times[0]), times, SCHEDULE, lambda: z, eta=0.0),
        )
    ]
    assert errors[0] < 0.01 and errors[0] < errors[1] / 3


def test_progress_counts_every_step_and_guide_skips_the_last() -> None:
    counted, guided = [], []

    def note(x_s: Tensor, s: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        guided.append(round(float(s[0]), 4))
        return x_s

    times = SCHEDULE.timesteps(4)
    ddim(
        lambda x, t: x,
        seeded(2),
        times,
        SCHEDULE,
        lambda: seeded(2),
        1.0,
        note,
        lambda done, total: counted.append((done, total)),
    )
    assert counted == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert guided == [round(float(t), 4) for t in times[1:]]
