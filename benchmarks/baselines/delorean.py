"""DELOREAN (Qin et al. 2020): a gap as logits, moved by the right text, mixed with the AR's own.

Each round: backward, logits climb log p(right | left, softmax(logits)); forward, from left to right
each place becomes gamma of what the AR base says behind the places before it, and 1 - gamma of
itself. After the last round words are drawn from the logits; of all rounds the draft stands whose
whole text the AR base finds likeliest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.baselines.base import System, only
from benchmarks.baselines.lab import Lab
from benchmarks.baselines.soft import SoftLM, between, infill_of, one_hot, right_log_prob, soft
from benchmarks.baselines.words import no_marks
from dlm_core.control.compose import Controls
from dlm_core.diffusion.noise import PerSampleNoise

GAMMA, RATE, PASSES = 0.45, 0.5, 3
TEMPERATURE = 0.7


def backward(
    lm: SoftLM, left: Tensor, logits: Tensor, right: list[int], rate: float, passes: int
) -> Tensor:
    """Logits (B, N, V) after `passes` steps up log p(right), each of norm `rate` a text."""
    for _ in range(passes):
        leaf = logits.detach().requires_grad_()
        with torch.enable_grad():
            value = right_log_prob(lm, left, F.softmax(leaf, -1), right).sum()
            if not value.requires_grad:  # no right text
                return logits
            (g,) = torch.autograd.grad(value, leaf)
        logits = logits + rate * g / g.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None]
    return logits


def forward(lm: SoftLM, left: Tensor, logits: Tensor, gamma: float) -> Tensor:
    """Logits of which each place is mixed with what the AR says behind those before it."""
    done: list[Tensor] = []
    for place in range(logits.shape[1]):
        read = torch.cat([left, *(F.softmax(x, -1)[:, None] for x in done)], 1)
        own = lm(read)[:, -1]
        done.append(gamma * own + (1 - gamma) * logits[:, place])
    return torch.stack(done, 1)


def start(lm: SoftLM, left: Tensor, count: int) -> Tensor:
    """What the AR base says of `count` places, (B, count, V)."""
    size = left.shape[-1]
    return forward(lm, left, left.new_zeros(len(left), count, size), 1.0)


@dataclass(frozen=True, eq=False)
class Delorean(System):
    """See the module docstring."""

    lab: Lab
    kinds: ClassVar[frozenset[str]] = frozenset({"infill"})
    sized: ClassVar[bool] = True
    slow: ClassVar[bool] = True

    @torch.no_grad()
    def generate(self, controls: Controls, n: int, seed: int) -> list[str]:
        """As `System`."""
        spec, vocab = infill_of(only(controls)), self.lab.base.vocab
        lm, size = soft(self.lab.base), len(vocab)
        right = vocab.encode(spec.right)
        left = one_hot(vocab.encode(spec.left), size, n)
        logits = start(lm, left, spec.words or 1)
        noise = PerSampleNoise(range(seed, seed + n), "delorean")
        best, score = (
            torch.zeros(n, logits.shape[1], dtype=torch.long),
            torch.full((n,), -torch.inf),
        )
        for _ in range(max(1, self.lab.training.relaxed_steps // 10)):
            logits = backward(lm, left, logits, right, RATE, PASSES)
            logits = forward(lm, left, logits, GAMMA)
            masked = no_marks(logits.flatten(0, 1), vocab, 0).view_as(logits)
            drawn = (masked / TEMPERATURE + noise.gumbel(*logits.shape[1:])).argmax(-1)
            words = F.one_hot(drawn, size).float()
            own = lm(torch.cat([left, words], 1))[:, left.shape[1] - 1 : -1]
            found = (own * words).sum((1, 2)) + right_log_prob(lm, left, words, right)
            better = found > score
            best[better], score = drawn[better], torch.maximum(score, found)
        return between(spec, vocab, best)


SYSTEMS = {"DELOREAN": Delorean}
