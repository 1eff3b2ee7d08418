"""Noise schedules alpha_bar(t) for continuous t in [0, 1], and the Gaussians they define.

t = 0 is least noise, t = 1 pure noise. Training uses t = k/T, k = 1..T; sampling may use any grid
of the same function, which makes every number of steps a true respacing of the training schedule.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

ScheduleName = Literal["sqrt", "cosine", "linear"]
_TINY = 1e-5  # keeps alpha_bar in (0, 1): x_0 stays recoverable from eps at t = 1


class Gaussian(NamedTuple):
    """Mean (B, L, D) and variance (B, 1, 1) of a diagonal Gaussian."""

    mean: Tensor
    var: Tensor


class NoiseSchedule:
    """alpha_bar(t) and what follows from it in closed form.

    Args:
        name: `sqrt` (App. A: 1 - sqrt(t + s), s = 1e-4), `cosine` (Nichol & Dhariwal 2021,
            offset 0.008) or `linear` (Ho et al. 2020 in continuous time: beta from 0.1 to 20).
        train_steps: T.
    """

    def __init__(self, name: ScheduleName = "sqrt", train_steps: int = 2000) -> None:
        self.name = name
        self.train_steps = train_steps

    def alpha_bar(self, t: Tensor) -> Tensor:
        """alpha_bar at times t in [0, 1]; same shape as t."""
        if self.name == "sqrt":
            value = 1.0 - torch.sqrt(t + 1e-4)
        elif self.name == "cosine":
            value = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
        else:
            value = torch.exp(-0.1 * t - 0.5 * 19.9 * t**2)
        return value.clamp(_TINY, 1.0 - _TINY)

    def timesteps(
        self,
        num_steps: int,
        spacing: Literal["respaced", "rebuilt"] = "respaced",
        power: float = 1.0,
    ) -> Tensor:
        """The `num_steps` times a sampler visits, from 1 down, (num_steps,) float64.

        Args:
            num_steps: how many.
            spacing: `respaced` ends at 1/T, the least noise seen in training; `rebuilt` ends at
                1/num_steps, as the released code does when it rebuilds a 200-step schedule.
            power: 1 is an even grid; below 1 more of the steps fall on high noise.
        """
        last = 1.0 / (self.train_steps if spacing == "respaced" else num_steps)
        if num_steps == 1:
            return torch.ones(1, dtype=torch.float64)
        u = torch.linspace(1.0, 0.0, num_steps, dtype=torch.float64)
        return last + (1.0 - last) * u**power

    def q_sample(self, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x_t = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) noise.

        Args:
            x_0: (B, L, D).
            t: (B,) in [0, 1].
            noise: (B, L, D) standard normal.
        """
        alpha_bar = self.alpha_bar(t)[:, None, None]
        return alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * noise

    def posterior_coefficients(self, t: Tensor, s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A, B and var of q(x_s | x_t, x_0) = N(A x_0 + B x_t, var I) for s < t (App. E).

        With alpha = alpha_bar(t) / alpha_bar(s):
        A = sqrt(alpha_bar(s)) (1 - alpha) / (1 - alpha_bar(t)),
        B = sqrt(alpha) (1 - alpha_bar(s)) / (1 - alpha_bar(t)),
        var = (1 - alpha_bar(s)) (1 - alpha) / (1 - alpha_bar(t)).
        """
        ab_t, ab_s = self.alpha_bar(t), self.alpha_bar(s)
        alpha = ab_t / ab_s
        a = ab_s.sqrt() * (1 - alpha) / (1 - ab_t)
        b = alpha.sqrt() * (1 - ab_s) / (1 - ab_t)
        return a, b, (1 - ab_s) * (1 - alpha) / (1 - ab_t)

    def q_posterior(self, x_0: Tensor, x_t: Tensor, t: Tensor, s: Tensor) -> Gaussian:
        """q(x_s | x_t, x_0); x_0 and x_t are (B, L, D), t and s (B,) with s < t."""
        a, b, var = (c[:, None, None] for c in self.posterior_coefficients(t, s))
        return Gaussian(a * x_0 + b * x_t, var)
