"""The denoiser works on texts of like lengths together; that must not show in its answers."""

from __future__ import annotations

import torch

from dlm_core.config import ModelConfig
from dlm_core.diffusion.denoiser import ROWS, Denoiser, attention


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


def test_attention_in_bf16_is_the_attention_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(3, 2, 9, 16, generator=generator) for _ in range(3))
    mask = (torch.arange(9) < torch.tensor([9, 4, 6])[:, None])[:, None, None, :]
    for given in (None, mask):
        exact = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=given)
        half = attention(q.bfloat16(), k.bfloat16(), v.bfloat16(), given, 0.0)
        torch.testing.assert_close(half.float(), exact, atol=0.03, rtol=0.03)
        assert torch.equal(attention(q, k, v, given, 0.0), exact)
