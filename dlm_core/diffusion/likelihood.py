"""How likely finished words are to a model: their cross-entropy at one level of noise.

One term of the variational bound at a few forwards, where the bound takes many. At less noise a
net copies the word it sees, at more it guesses; between, a word that does not fit its sentence
shows.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dlm_core.diffusion.model import DiffusionLM
from dlm_core.diffusion.noise import PerSampleNoise

TIME, DRAWS = 0.4, 8


@torch.no_grad()
def nats_a_word(
    net: DiffusionLM,
    ask: Callable[[Tensor, Tensor], Tensor],
    tokens: Tensor,
    counted: Tensor,
    noise: PerSampleNoise,
) -> Tensor:
    """-log p(w | x_t) at t = TIME, a mean over words and over draws of x_t: (B,).

    Args:
        net: has the word vectors and the noise.
        ask: x_t (B, L, D) and t (B,) -> log-probabilities (B, L, V).
        tokens: (B, L) ids.
        counted: (B, L) bool, the places that are words of a text.
        noise: of the texts.
    """
    config, words = net.config, net.embed(tokens)
    t = torch.full((len(tokens),), TIME, device=tokens.device)
    total = torch.zeros(len(tokens), device=tokens.device)
    for _ in range(DRAWS):
        draws = noise.normal(config.max_len, config.embedding_dim)[:, : tokens.shape[1]]
        log_q = ask(net.schedule.q_sample(words, t, draws), t)
        nats = -log_q.gather(-1, tokens[..., None])[..., 0].masked_fill(~counted, 0.0)
        total += nats.sum(-1) / counted.sum(-1)
    return total / DRAWS
