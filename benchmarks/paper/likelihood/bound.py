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


class Misses(NamedTuple):
    """How far the model's words are from the text's at one level of noise, (B,) each."""

    error: Tensor
    """|x - x_hat|^2."""
    surprise: Tensor
    """-log p of the words: what is trained in place of the error (App. F)."""


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


def misses(
    denoise: Denoise,
    level: Level,
    tokens: Tensor,
    lengths: Tensor,
    words: int,
    generator: torch.Generator,
) -> Misses:
    """What the model says of the texts at this noise; arguments as of `bound`."""
    x, here = _one_hot(tokens, lengths, words)
    log_p = denoise(_noised(x, level, generator), level, lengths)
    error = (x - log_p.exp()).square().sum(-1)
    return Misses((error * here).sum(-1), (_of(log_p, tokens) * here).sum(-1))


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
    found = misses(denoise, level, tokens, lengths, words, generator)
    x, here = _one_hot(tokens, lengths, words)
    # q(z_0 | w) alike for all words but for their place: p(w | z_0) ~ exp(alpha z_w / sigma^2)
    z_0 = _noised(x, first, generator)
    seen = F.log_softmax((first.alpha / first.sigma.square())[:, None, None] * z_0, dim=-1)
    # KL(N(alpha x, sigma^2 I) || N(0, I)) a position, where |x| = 1
    variance = last.sigma.square()
    prior = (last.alpha.square() + words * (variance - variance.log() - 1)) / 2
    return Bound(
        prior * lengths,
        (_of(seen, tokens) * here).sum(-1),
        level.weight * found.error,
    )


def _one_hot(tokens: Tensor, lengths: Tensor, words: int) -> tuple[Tensor, Tensor]:
    """x (B, L, V), and which positions exist (B, L)."""
    here = torch.arange(tokens.shape[1]) < lengths[:, None]
    return F.one_hot(tokens, words).float(), here.float()


def _noised(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    noise = torch.randn(x.shape, generator=generator)
    return level.alpha[:, None, None] * x + level.sigma[:, None, None] * noise


def _of(log_p: Tensor, tokens: Tensor) -> Tensor:
    """-log p of the tokens, (B, L)."""
    return -log_p.gather(-1, tokens[..., None])[..., 0]
