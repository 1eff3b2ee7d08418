"""The variational bound on -log p(words | their number), in continuous time.

For x the one-hot vectors of a text and z_t = alpha x + sigma eps (Kingma et al. 2021, eq. 11-18):

    -log p(x) <= KL(q(z_1 | x) || N(0, I))              prior
               + E[-log p(x | z_0)]                      reconstruction
               + 1/2 E[gamma'(t) SNR(t) |x - x_hat|^2]   diffusion, t uniform

Shapes: B batch, L positions, V words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.paper.likelihood.schedule import LearnedSchedule, Level

Denoise = Callable[[Tensor, Level, Tensor], Tensor]
"""(z_t (B, L, V), the noise, lengths (B,)) -> log-probabilities of the words, (B, L, V)."""


class Seen(NamedTuple):
    """What the model says of texts at one level of noise."""

    log_p: Tensor
    """Of all words, (B, L, V)."""
    of_words: Tensor
    """Of the text's own, (B, L)."""
    here: Tensor
    """Which positions exist, (B, L)."""

    @property
    def surprise(self) -> Tensor:
        """-log p of the words of each text (B,): what is trained in place of the error (App. F)."""
        return -(self.of_words * self.here).sum(-1)

    @property
    def error(self) -> Tensor:
        """|x - x_hat|^2 of each text, (B,)."""
        p, own = self.log_p.exp(), self.of_words.exp()
        return ((p.square().sum(-1) - 2 * own + 1) * self.here).sum(-1)


class Bound(NamedTuple):
    """The terms, nats a text, (B,) each."""

    prior: Tensor
    reconstruction: Tensor
    diffusion: Tensor

    @property
    def total(self) -> Tensor:
        """The bound."""
        return self.prior + self.reconstruction + self.diffusion


def even_times(count: int, generator: torch.Generator) -> Tensor:
    """One draw that spreads `count` times evenly over [0, 1] (Kingma et al. 2021, App. I.1)."""
    return (torch.rand(1, generator=generator) + torch.arange(count) / count) % 1


def seen(
    denoise: Denoise,
    level: Level,
    tokens: Tensor,
    lengths: Tensor,
    words: int,
    generator: torch.Generator,
) -> Seen:
    """What the model says of the texts at this noise; arguments as of `bound`."""
    log_p = denoise(_noised(tokens, words, level, generator), level, lengths)
    here = torch.arange(tokens.shape[1]) < lengths[:, None]
    return Seen(log_p, log_p.gather(-1, tokens[..., None])[..., 0], here)


def bound(
    denoise: Denoise,
    schedule: LearnedSchedule,
    tokens: Tensor,
    lengths: Tensor,
    words: int,
    t: Tensor,
    generator: torch.Generator,
) -> Bound:
    """One draw of the bound for each text.

    Args:
        denoise: the model.
        schedule: its noise.
        tokens: (B, L) ids.
        lengths: (B,), positions that exist.
        words: V.
        t: (B,), uniform in [0, 1].
        generator: of eps.
    """
    level, first, last = schedule(t), schedule(torch.zeros_like(t)), schedule(torch.ones_like(t))
    found = seen(denoise, level, tokens, lengths, words, generator)
    # q(z_0 | w) alike for all words but for their place: p(w | z_0) ~ exp(alpha z_w / sigma^2)
    z_0 = _noised(tokens, words, first, generator)
    log_p = F.log_softmax((first.alpha / first.sigma.square())[:, None, None] * z_0, dim=-1)
    own = log_p.gather(-1, tokens[..., None])[..., 0]
    # KL(N(alpha x, sigma^2 I) || N(0, I)) a position, where |x| = 1
    variance = last.sigma.square()
    prior = (last.alpha.square() + words * (variance - variance.log() - 1)) / 2
    return Bound(prior * lengths, -(own * found.here).sum(-1), level.weight * found.error)


def _noised(tokens: Tensor, words: int, level: Level, generator: torch.Generator) -> Tensor:
    """alpha x + sigma eps, (B, L, V)."""
    eps = torch.randn(*tokens.shape, words, generator=generator)
    alpha = level.alpha[:, None, None].expand(*tokens.shape, 1)
    return (level.sigma[:, None, None] * eps).scatter_add(-1, tokens[..., None], alpha)
