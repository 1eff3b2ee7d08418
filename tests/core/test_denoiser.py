"""The denoiser works on texts of like lengths together; that must not show in its answers."""

from __future__ import annotations

import torch

from dlm_core.config import ModelConfig
from dlm_core.denoiser import ROWS, Denoiser


def test_a_large_batch_of_mixed_lengths_equals_each_text_alone() -> None:
    torch.manual_seed(0)
    config = ModelConfig(vocab_size=30, hidden=16, layers=2, heads=2, max_len=12, embedding_dim=4)
    denoiser = Denoiser(config).eval()
    rows = 2 * ROWS + 5
    lengths = torch.randint(1, 13, (rows,))
    x, prev, t = torch.randn(rows, 12, 4), torch.randn(rows, 12, 4), torch.rand(rows)
    with torch.no_grad():
        together = denoiser.denoise(x, t, lengths, prev)
        for i in range(rows):
            n = int(lengths[i])
            one = slice(i, i + 1)
            alone = denoiser.denoise(x[one, :n], t[one], lengths[one], prev[one, :n])
            torch.testing.assert_close(together[i, :n], alone[0], atol=2e-5, rtol=1e-4)
