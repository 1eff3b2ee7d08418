"""A noise schedule that is learned: gamma(t) = -log SNR(t), rising over t in [0, 1].

Its ends are given; what lies between does not change the bound's value (Kingma et al. 2021, §5.1),
only how much an estimate of it varies, and is learned to make that little (their App. H).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Level(NamedTuple):
    """The noise at times t, (B,) each: z_t = alpha x + sigma eps with alpha^2 + sigma^2 = 1."""

    gamma: Tensor
    slope: Tensor
    """d gamma / d t."""

    @property
    def alpha(self) -> Tensor:
        """sqrt(sigmoid(-gamma))."""
        return torch.sigmoid(-self.gamma).sqrt()

    @property
    def sigma(self) -> Tensor:
        """sqrt(sigmoid(gamma))."""
        return torch.sigmoid(self.gamma).sqrt()

    @property
    def snr(self) -> Tensor:
        """alpha^2 / sigma^2."""
        return torch.exp(-self.gamma)

    @property
    def weight(self) -> Tensor:
        """Of the squared error in the bound: gamma'(t) SNR(t) / 2."""
        return self.slope * self.snr / 2


class LearnedSchedule(nn.Module):
    """A monotone network (Kingma et al. 2021, App. H) between two ends.

    Args:
        first, last: gamma at t = 0 and t = 1.
        middle: at the start times fall as a logistic distribution around this gamma, of width
            `spread`: half of a line's times would be spent where words are plain or lost.
            Evenly, if None.
        width: hidden units.
    """

    def __init__(
        self,
        first: float,
        last: float,
        middle: float | None = None,
        spread: float = 0.8,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.first, self.last, self.middle, self.spread = first, last, middle, spread
        # weights are kept positive by softplus; at the start u is nearly a line
        self.line = nn.Parameter(torch.zeros(()))
        self.inner = nn.Parameter(torch.randn(width))
        self.bias = nn.Parameter(torch.randn(width) * 3)
        self.outer = nn.Parameter(torch.full((width,), -5.0))

    def forward(self, t: Tensor) -> Level:
        """gamma and its slope at t (B,)."""
        ends = torch.tensor([0.0, 1.0], dtype=t.dtype, device=t.device)
        raw, slope = self._raw(torch.cat([t, ends]))
        low, high = raw[-2], raw[-1]
        return self.placed((raw[:-2] - low) / (high - low), slope[:-2] / (high - low))

    def placed(self, u: Tensor, du: Tensor) -> Level:
        """The level at a share u of the way, and its slope; of u = t, where learning begins."""
        if self.middle is None:
            scale = self.last - self.first
            return Level(self.first + scale * u, scale * du)
        a, b = (
            1 / (1 + math.exp((self.middle - end) / self.spread)) for end in (self.first, self.last)
        )
        q = a + (b - a) * u
        gamma = self.middle + self.spread * torch.logit(q)
        return Level(gamma, self.spread * (b - a) / (q * (1 - q)) * du)

    def _raw(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """A rising function of t, and its derivative."""
        line, inner, outer = (F.softplus(p) for p in (self.line, self.inner, self.outer))
        bent = torch.sigmoid(4 * inner * (t[:, None] - 0.5) + self.bias)  # (B, width)
        raw = line * t + (outer * bent).sum(-1)
        return raw, line + (outer * bent * (1 - bent) * 4 * inner).sum(-1)
