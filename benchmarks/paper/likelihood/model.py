"""The denoiser of one-hot words (App. F): softmax in, a Transformer, softmax out.

Shapes: B batch, L positions, V words, H hidden width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.paper.likelihood.schedule import LearnedSchedule, Level
from dlm_core.diffusion.denoisers.transformer import Transformer, sinusoid

_TIME = 64  # features of the time


class LikelihoodModel(nn.Module):
    """A diffusion model over one-hot vectors, and how long texts are.

    Args:
        counts: (V,), how often each word occurs in the corpus; rare words begin as rare.
        lengths: (max_len + 1,), how many texts have each number of words.
        hidden, layers, heads: of the Transformer.
        first, last: gamma at both ends of the schedule.
        middle: see `LearnedSchedule`.
        output_prior: the net says what the other positions add to p(w | its own z_t), which is
            known (Gulrajani & Hashimoto 2023, "output prior"); the paper's says all of it.
        near: words around a position that the input mixes (a convolution), odd; attention finds
            neighbours by their places, which it must first learn. 0 for none, as the paper.
    """

    log_lengths: Tensor

    def __init__(
        self,
        counts: Tensor,
        lengths: Tensor,
        hidden: int,
        layers: int,
        heads: int,
        first: float = -4.0,
        last: float = 6.0,
        middle: float | None = -1.3,
        output_prior: bool = True,
        near: int = 5,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.words, max_len = len(counts), len(lengths) - 1
        words = self.words
        self.output_prior = output_prior
        self.schedule = LearnedSchedule(first, last, middle)
        self.table = nn.Linear(words, hidden, bias=False)
        self.near = nn.Conv1d(hidden, hidden, near, padding=near // 2) if near else None
        self.trunk = Transformer(hidden, words, hidden, layers, heads, max_len, dropout)
        self.gain = nn.Sequential(nn.Linear(_TIME, _TIME), nn.SiLU(), nn.Linear(_TIME, 1))
        self.shift = nn.Sequential(nn.Linear(_TIME, _TIME), nn.SiLU(), nn.Linear(_TIME, words))
        smoothed = lengths.float() + 0.1
        self.register_buffer("log_lengths", (smoothed / smoothed.sum()).log())
        with torch.no_grad():  # begin as Bayes' rule has it for words that are independent
            for net in (self.gain, self.shift):
                net[-1].weight.mul_(0.1)
                net[-1].bias.zero_()
            unigram = (counts.float() + 0.1).log()
            self.shift[-1].bias.copy_(unigram - unigram.mean())
            # a softmax is mostly near 0: its mean vector a word, not its coordinates, has size 1
            self.table.weight.normal_(std=0.5)
            if self.near is not None:
                self.near.weight.normal_(std=1 / math.sqrt(hidden * near))
            if output_prior:
                self.trunk.outputs.weight.mul_(0.1)
                self.trunk.outputs.bias.zero_()

    def forward(self, z: Tensor, level: Level, lengths: Tensor) -> Tensor:
        """log p(w | z_t), (B, L, V)."""
        schedule = self.schedule
        t = (level.gamma - schedule.first) / (schedule.last - schedule.first)  # the net's clock
        time = sinusoid(t, _TIME)
        with torch.autocast(z.device.type, enabled=False):  # bf16 would round the evidence
            # App. F: x := softmax(alpha(t) x + beta(t)); exp keeps alpha(t) positive
            exact = level.alpha / level.sigma.square()
            gain = exact[:, None] * self.gain(time).exp()  # (B, 1)
            scores = gain[..., None] * z + self.shift(time)[:, None]
        here = torch.arange(z.shape[1]) < lengths[:, None]
        vectors = self.table(F.softmax(scores, dim=-1)) * here[..., None]  # (B, L, H)
        if self.near is not None:
            vectors = vectors + self.near(vectors.transpose(1, 2)).transpose(1, 2)
        logits = self.trunk(vectors, t, lengths).float()
        return F.log_softmax(logits + scores if self.output_prior else logits, dim=-1)
