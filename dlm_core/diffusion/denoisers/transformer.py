"""A pre-norm transformer encoder with adaptive layer norm.

Shapes: B batch, L positions, H hidden width.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlm_core.config import ModelConfig
from dlm_core.diffusion.denoisers.base import Denoiser, widths


def sinusoid(t: Tensor, width: int) -> Tensor:
    """Sinusoidal features of t in [0, 1], scaled to the release's clock of 0..1000: (B, width)."""
    half = width // 2
    frequencies = torch.exp(-math.log(10_000) * torch.arange(half, device=t.device) / half)
    angles = 1000.0 * t.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
    """softmax(q k^T / sqrt(width)) v; q, k, v (B, heads, L, width), mask (B, 1, 1, L) or None.

    The CPU's fused kernel takes its gradient in bf16 five times slower than these plain products
    do on a sentence's few dozen positions.
    """
    if not (q.device.type == "cpu" and q.dtype == torch.bfloat16):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
    scores = (q / math.sqrt(q.shape[-1])) @ k.transpose(-1, -2)  # (B, heads, L, L)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return F.dropout(scores.softmax(-1), dropout) @ v


class Block(nn.Module):
    """Self-attention and a feed-forward net, each scaled, shifted and gated by the time."""

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.qkv = nn.Linear(hidden, 3 * hidden, bias=False)
        self.out = nn.Linear(hidden, hidden, bias=False)
        self.up = nn.Linear(hidden, 4 * hidden)
        self.down = nn.Linear(4 * hidden, hidden)
        # A learned offset to the shared time modulation (adaLN-single, Chen et al. 2023): a matrix
        # a block would hold a third of all parameters.
        self.modulation = nn.Parameter(torch.zeros(6, hidden))

    def forward(self, x: Tensor, time: Tensor, mask: Tensor | None) -> Tensor:
        """x (B, L, H), time (B, 6, H), mask (B, 1, 1, L) or None -> (B, L, H)."""
        batch, length, hidden = x.shape
        shift_a, scale_a, gate_a, shift_f, scale_f, gate_f = (time + self.modulation)[
            :, :, None, :
        ].unbind(1)  # each (B, 1, H)
        h = F.layer_norm(x, (hidden,)) * (1 + scale_a) + shift_a  # (B, L, H)
        # No -1 here or below: a process of a group may get an empty batch, where it is ambiguous.
        width = hidden // self.heads
        qkv = self.qkv(h).view(batch, length, 3, self.heads, width).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        attended = attention(qkv[0], qkv[1], qkv[2], mask, dropout)  # (B, heads, L, H / heads)
        attended = self.out(attended.transpose(1, 2).reshape(batch, length, hidden))
        x = x + gate_a * F.dropout(attended, self.dropout, self.training)
        h = F.layer_norm(x, (hidden,)) * (1 + scale_f) + shift_f
        h = self.down(F.gelu(self.up(h), approximate="tanh"))
        return x + gate_f * F.dropout(h, self.dropout, self.training)


class Transformer(nn.Module):
    """Blocks over position and time features; the trunk of the denoiser and of the control heads.

    Positions are counted from both ends, so that the last word knows it is the last whatever the
    length.

    Args:
        inputs: width of the input vectors.
        outputs: width of the output vectors.
        max_len: positions at most.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: int,
        layers: int,
        heads: int,
        max_len: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.inputs = nn.Linear(inputs, hidden)
        self.from_left = nn.Embedding(max_len, hidden)
        self.from_right = nn.Embedding(max_len, hidden)
        self.time = nn.Sequential(
            nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 6 * hidden)
        )
        self.blocks = nn.ModuleList(Block(hidden, heads, dropout) for _ in range(layers))
        self.outputs = nn.Linear(hidden, outputs)
        for table in (self.from_left, self.from_right):
            nn.init.normal_(table.weight, std=0.5)
        for block in self.blocks:  # small residual branches at the start: a deep net trains at once
            assert isinstance(block, Block)
            nn.init.normal_(block.out.weight, std=0.02 / math.sqrt(2 * layers))
            nn.init.normal_(block.down.weight, std=0.02 / math.sqrt(2 * layers))
        with torch.no_grad():  # gates start open
            last = self.time[-1]
            assert isinstance(last, nn.Linear)
            nn.init.normal_(last.weight, std=0.02)
            last.bias.zero_().view(6, hidden)[[2, 5]] = 1.0

    def forward(self, x: Tensor, t: Tensor, lengths: Tensor) -> Tensor:
        """x (B, L, inputs), t (B,) in [0, 1], lengths (B,) -> (B, L, outputs).

        Positions at and after `lengths` are not attended to; what comes out there is undefined.
        """
        length = x.shape[1]
        left = torch.arange(length, device=x.device)
        right = (lengths[:, None] - 1 - left).clamp(min=0)  # (B, L)
        h = self.inputs(x) + self.from_left(left) + self.from_right(right)  # (B, L, H)
        modulation = self.time(sinusoid(t, self.hidden)).view(len(t), 6, self.hidden)  # (B, 6, H)
        mask = None
        if not bool((lengths == length).all()):  # one length: no mask, the fast attention kernel
            mask = (left < lengths[:, None])[:, None, None, :]  # (B, 1, 1, L)
        for block in self.blocks:
            h = block(h, modulation, mask)
        return self.outputs(F.layer_norm(h, (self.hidden,)))  # type: ignore[no-any-return]


class TransformerDenoiser(Denoiser, Transformer):
    """The default, and what the embedded model is."""

    def __init__(self, config: ModelConfig) -> None:
        inputs, outputs = widths(config)
        super().__init__(
            inputs=inputs,
            outputs=outputs,
            hidden=config.hidden,
            layers=config.layers,
            heads=config.heads,
            max_len=config.max_len,
            dropout=config.dropout,
        )
        self.self_conditioning = config.self_conditioning
