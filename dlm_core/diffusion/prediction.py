"""What the denoiser says of x_0."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the denoiser says of x_0.

    Attributes:
        x_0_hat: (B, L, D), its estimate of x_0.
        token_log_probs: (B, L, V), the rounding distribution log p(w_i | x_t).
    """

    x_0_hat: Tensor
    token_log_probs: Tensor
