"""Samplers: plain functions that walk x_T to x_0 by asking a `denoise` callable for x_0_hat.

Clamping and posterior guidance live inside `denoise`, gradient guidance in `guide`: a sampler knows
neither. Shapes: B batch, L positions, D word-vector width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from dlm_core.diffusion.schedule import NoiseSchedule

Denoise = Callable[[Tensor, Tensor], Tensor]
"""(x_t (B, L, D), t (B,)) -> x_0_hat (B, L, D)."""
Randn = Callable[[], Tensor]
"""Fresh standard normals, (B, L, D)."""
Step = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""(x_t, x_0_hat, t, s) -> mean (B, L, D) and variance (B, 1, 1) of x_s."""


class StepGuide(Protocol):
    """Moves x_s after the step, given the Gaussian N(mean, var) it was drawn from."""

    def __call__(self, x_s: Tensor, s: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        """The moved x_s, (B, L, D)."""
        ...


Progress = Callable[[int, int], None]
"""(steps done, steps in all)."""


def ancestral(
    denoise: Denoise,
    x_T: Tensor,  # noqa: N803
    times: Tensor,
    schedule: NoiseSchedule,
    randn: Randn,
    guide: StepGuide | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Draw x_s ~ q(x_s | x_t, x_0_hat) down the grid; the last estimate is x_0 (§3.3, App. E).

    Args:
        denoise: the model, clamped and tilted as wanted.
        x_T: (B, L, D) standard normal.
        times: (N,) decreasing, from `NoiseSchedule.timesteps`.
        schedule: gives q(x_s | x_t, x_0).
        randn: noise source.
        guide: moves x_s after each step but the last.
        progress: called after each step.
    """
    return ddim(denoise, x_T, times, schedule, randn, 1.0, guide, progress)


def ddim(
    denoise: Denoise,
    x_T: Tensor,  # noqa: N803
    times: Tensor,
    schedule: NoiseSchedule,
    randn: Randn,
    eta: float = 0.0,
    guide: StepGuide | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """DDIM (Song et al. 2021, eq. 12): eta = 1 is ancestral sampling, eta = 0 is deterministic.

    The step's std is eta times that of q(x_s | x_t, x_0); at eta = 1 its mean is that of q too.
    """

    def step(x: Tensor, x_0_hat: Tensor, t: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        alpha_bar_t = schedule.alpha_bar(t)[:, None, None]
        alpha_bar_s = schedule.alpha_bar(s)[:, None, None]
        _, _, q_var = schedule.posterior_coefficients(t, s)
        var = eta**2 * q_var[:, None, None]
        eps = (x - alpha_bar_t.sqrt() * x_0_hat) / (1 - alpha_bar_t).sqrt()
        mean = alpha_bar_s.sqrt() * x_0_hat + (1 - alpha_bar_s - var).clamp(min=0).sqrt() * eps
        return mean, var

    return _walk(denoise, x_T, times, step, randn, guide, progress)


def dpmpp_2m(
    denoise: Denoise,
    x_T: Tensor,  # noqa: N803
    times: Tensor,
    schedule: NoiseSchedule,
    guide: StepGuide | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2): the noiseless walk to second order.

    x_0_hat is extrapolated from the last two estimates, linearly in lambda = log(sqrt(alpha_bar) /
    sqrt(1 - alpha_bar)); the first step is DDIM's with eta = 0.
    """
    earlier: list[tuple[Tensor, Tensor]] = []
    """The last estimate and the step in lambda that followed it."""

    def step(x: Tensor, x_0_hat: Tensor, t: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        ab_t, ab_s = (schedule.alpha_bar(time)[:, None, None] for time in (t, s))
        h = (ab_s.logit() - ab_t.logit()) / 2  # lambda_s - lambda_t
        slope = torch.zeros_like(x_0_hat)  # of x_0_hat over lambda
        if earlier:
            before, h_before = earlier.pop()
            slope = (x_0_hat - before) / h_before
        earlier.append((x_0_hat, h))
        ahead = x_0_hat + slope * h / 2  # D_i, at the middle of the step
        mean = ((1 - ab_s) / (1 - ab_t)).sqrt() * x - ab_s.sqrt() * torch.expm1(-h) * ahead
        return mean, torch.zeros_like(h)

    return _walk(denoise, x_T, times, step, None, guide, progress)


def _walk(
    denoise: Denoise,
    x: Tensor,
    times: Tensor,
    step: Step,
    randn: Randn | None,
    guide: StepGuide | None,
    progress: Progress | None,
) -> Tensor:
    """Take `step` from each time to the next; the last estimate is x_0."""
    grid = times.tolist()
    for k, (t_value, s_value) in enumerate(zip(grid, [*grid[1:], None], strict=True)):
        t = torch.full((len(x),), t_value, device=x.device)
        x_0_hat = denoise(x, t)
        if s_value is None:
            x = x_0_hat
        else:
            s = torch.full_like(t, s_value)
            mean, var = step(x, x_0_hat, t, s)
            x = mean if randn is None else mean + var.sqrt() * randn()
            if guide is not None:
                x = guide(x, s, mean, var)
        if progress is not None:
            progress(k + 1, len(grid))
    return x
