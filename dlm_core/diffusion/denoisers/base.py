"""What every denoiser does around its network: self-conditioning, and texts of like lengths.

Shapes: B batch, L positions, D word-vector width, O output width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlm_core.config import ModelConfig

ROWS = 16
"""Texts that are denoised together when lengths differ."""


class Denoiser(nn.Module):
    """f(x_t, t, previous x_0_hat) -> logits over words, or a vector (`ModelConfig.readout`).

    A subclass has `forward(x, t, lengths)`, x (B, L, `widths(config)[0]`) and t (B,) in [0, 1], in
    which nothing at and after `lengths` (B,) reaches a position before it.

    Attributes:
        self_conditioning: the previous estimate stands beside x_t.
        outputs: the last layer.
    """

    self_conditioning: bool
    outputs: nn.Linear

    def denoise(self, x_t: Tensor, t: Tensor, lengths: Tensor, x_0_prev: Tensor | None) -> Tensor:
        """x_t and x_0_prev (B, L, D), t (B,) -> (B, L, O). x_0_prev None means zeros."""
        if self.self_conditioning:
            prev = torch.zeros_like(x_t) if x_0_prev is None else x_0_prev
            x_t = torch.cat([x_t, prev], dim=-1)
        if self.training or len(x_t) <= ROWS or bool((lengths == lengths[0]).all()):
            return self(x_t, t, lengths)  # type: ignore[no-any-return]
        # Texts of like lengths together: else half of the work is done on padding.
        parts = torch.split(lengths.argsort(stable=True), ROWS)
        out = x_t.new_zeros(*x_t.shape[:2], self.outputs.out_features)
        for rows in parts:
            width = int(lengths[rows].max())
            part = self(x_t[rows, :width], t[rows], lengths[rows])
            out[rows, :width] = part.to(out.dtype)  # autocast computes in another
        return out


def widths(config: ModelConfig) -> tuple[int, int]:
    """Width of what goes into the network at a position, and O, of what comes out."""
    inputs = config.embedding_dim * (2 if config.self_conditioning else 1)
    return inputs, config.vocab_size if config.readout == "words" else config.embedding_dim
