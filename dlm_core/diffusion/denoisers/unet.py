"""A U-Net over positions (App. H): Ho et al.'s (2020) with convolutions in one dimension.

Norms are taken over channels, not over positions as group norms are, and what lies beyond a text
is set to zero before every convolution: a text comes out the same whatever padding follows.

Shapes: B batch, C channels, L positions, H hidden width, T time width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlm_core.config import ModelConfig
from dlm_core.diffusion.denoisers.base import Denoiser, widths
from dlm_core.diffusion.denoisers.transformer import attention, sinusoid

LEVELS = (1, 2, 2, 2)
"""Channels of each level in units of H; each level has half the positions of the one above."""
ATTENDED = 2
"""The level whose blocks attend, beside the middle: 16 positions of the paper's 64."""
_SMALL = 0.1  # of the last layer of a residual branch, at the start: a deep net trains at once


def over_channels(x: Tensor) -> Tensor:
    """Layer norm of each position, (B, C, L) -> (B, C, L)."""
    return F.layer_norm(x.transpose(1, 2), x.shape[1:2]).transpose(1, 2)


class Residual(nn.Module):
    """Two convolutions, the time added between them."""

    def __init__(self, inputs: int, outputs: int, time: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Conv1d(inputs, outputs, 3, padding=1)
        self.time = nn.Linear(time, outputs)
        self.second = nn.Conv1d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        with torch.no_grad():
            self.second.weight.mul_(_SMALL)

    def forward(self, x: Tensor, time: Tensor, mask: Tensor) -> Tensor:
        """x (B, C, L), time (B, T), mask (B, 1, L) of 0 and 1 -> (B, C', L)."""
        h = self.first(F.silu(over_channels(x)) * mask) + self.time(time)[..., None]
        h = self.second(self.dropout(F.silu(over_channels(h))) * mask)
        return self.skip(x) + h  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Self-attention over the positions of a level."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)
        with torch.no_grad():
            self.out.weight.mul_(_SMALL)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, C, L), mask (B, 1, L) -> (B, C, L)."""
        batch, width, length = x.shape
        h = self.qkv(over_channels(x).transpose(1, 2))
        q, k, v = h.view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        h = attention(q, k, v, mask[:, None].bool(), 0.0)
        h = self.out(h.transpose(1, 2).reshape(batch, length, width))
        return x + h.transpose(1, 2)  # type: ignore[no-any-return]


class Level(nn.Module):
    """Residual blocks of one width, each followed by attention where the level has it."""

    def __init__(
        self, inputs: list[int], width: int, time: int, heads: int, attends: bool, dropout: float
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Residual(n, width, time, dropout) for n in inputs)
        self.attention = nn.ModuleList(Attention(width, heads) for _ in inputs if attends)

    def run(self, k: int, x: Tensor, time: Tensor, mask: Tensor) -> Tensor:
        """Block k of the level: (B, C, L) -> (B, C', L)."""
        x = self.blocks[k](x, time, mask)
        return self.attention[k](x, mask) if len(self.attention) else x


class UNet(Denoiser):
    """`ModelConfig.layers` residual blocks a level on the way down and as many on the way up.

    Positions are counted from both ends, as in the Transformer.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        inputs, outputs = widths(config)
        hidden, layers, time = config.hidden, config.layers, 4 * config.hidden
        self.self_conditioning, self.hidden, self.layers = config.self_conditioning, hidden, layers
        self.inputs = nn.Linear(inputs, hidden)
        self.from_left = nn.Embedding(config.max_len, hidden)
        self.from_right = nn.Embedding(config.max_len, hidden)
        self.time = nn.Sequential(
            nn.Linear(hidden, time), nn.SiLU(), nn.Linear(time, time), nn.SiLU()
        )
        wide = [hidden * factor for factor in LEVELS]

        def level(k: int, entering: list[int]) -> Level:
            return Level(entering, wide[k], time, config.heads, k == ATTENDED, config.dropout)

        above, below = [hidden, *wide[:-1]], [*wide[1:], wide[-1]]
        down = [level(k, [above[k]] + [wide[k]] * (layers - 1)) for k in range(len(wide))]
        # on the way up each block sees what its counterpart on the way down made
        up = [
            level(k, [below[k] + wide[k]] + [2 * wide[k]] * (layers - 1)) for k in range(len(wide))
        ]
        self.down, self.up = nn.ModuleList(down), nn.ModuleList(up)
        self.middle = Level([wide[-1]] * 2, wide[-1], time, config.heads, True, config.dropout)
        self.shrink = nn.ModuleList(nn.Conv1d(n, n, 3, stride=2, padding=1) for n in wide[:-1])
        self.grow = nn.ModuleList(nn.Conv1d(n, n, 3, padding=1) for n in wide[1:])
        self.outputs = nn.Linear(hidden, outputs)
        for table in (self.from_left, self.from_right):
            nn.init.normal_(table.weight, std=0.5)

    def forward(self, x: Tensor, t: Tensor, lengths: Tensor) -> Tensor:
        """x (B, L, inputs), t (B,) in [0, 1], lengths (B,) -> (B, L, outputs)."""
        left = torch.arange(x.shape[1], device=x.device)
        right = (lengths[:, None] - 1 - left).clamp(min=0)  # (B, L)
        h = self.inputs(x) + self.from_left(left) + self.from_right(right)
        h, time = h.transpose(1, 2), self.time(sinusoid(t, self.hidden))
        kept: list[list[Tensor]] = []
        masks: list[Tensor] = []
        for k, level in enumerate(self.down):
            assert isinstance(level, Level)
            if k:
                h = self.shrink[k - 1](h * masks[-1])  # n positions become ceil(n / 2)
                lengths = (lengths + 1) // 2
            places = torch.arange(h.shape[-1], device=x.device)
            masks.append((places < lengths[:, None])[:, None].to(h.dtype))
            kept.append([])
            for block in range(self.layers):
                h = level.run(block, h, time, masks[-1])
                kept[-1].append(h)
        for block in range(2):
            h = self.middle.run(block, h, time, masks[-1])
        for k in reversed(range(len(LEVELS))):
            level = self.up[k]
            assert isinstance(level, Level)
            for block in range(self.layers):
                h = level.run(block, torch.cat([h, kept[k].pop()], dim=1), time, masks[k])
            if k:
                wider = h.repeat_interleave(2, dim=-1)[..., : masks[k - 1].shape[-1]]
                h = self.grow[k - 1](wider * masks[k - 1])
        return self.outputs(over_channels(h).transpose(1, 2))  # type: ignore[no-any-return]
