"""Rounding: how words are picked from the probabilities the denoiser gives them (§4.2)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def pick_words(token_log_probs: Tensor, uniform: Tensor, temperature: float | Tensor) -> Tensor:
    """Draw words at a temperature: (B, L, V) log-probabilities, uniforms (B, L) -> ids (B, L).

    One uniform a position, by the inverse of the cumulative distribution: a Gumbel a word would
    cost more than the denoiser.
    """
    cumulative = F.softmax(token_log_probs / temperature, dim=-1).cumsum(-1)
    words = (cumulative < uniform[..., None] * cumulative[..., -1:]).sum(-1)
    return words.clamp(max=token_log_probs.shape[-1] - 1)
