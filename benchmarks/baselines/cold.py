"""COLD (Qin et al. 2022): Langevin dynamics on the logits of a gap, down an energy.

E(y) = -[1/N sum_n p_LM(. | left, y_<n) . log softmax(y_n)]          fluency, left to right
       - 1/R log p_LM(right | left, y)                               future tokens
       - 0.05/N sum_n sum_(w in right) softmax(y_n)_w                lexical overlap
y <- y - eta grad E + noise, whose standard deviation falls; then from left to right the best y_n
among the AR base's likeliest words. The right-to-left LM of the paper's fluency term is left out
here, which may cost COLD something.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.baselines.base import System, only
from benchmarks.baselines.delorean import start
from benchmarks.baselines.lab import Lab
from benchmarks.baselines.soft import SoftLM, between, infill_of, one_hot, right_log_prob, soft
from benchmarks.baselines.words import no_marks
from dlm_core.control.compose import Controls
from dlm_core.diffusion.noise import PerSampleNoise

RATE, OVERLAP, TOP = 0.1, 0.05, 10
STDS = (1.0, 0.5, 0.1, 0.05, 0.0)
"""Of the noise, in equal shares of the steps."""


def energy(lm: SoftLM, left: Tensor, logits: Tensor, right: list[int]) -> Tensor:
    """E(y) of logits (B, N, V), (B,)."""
    log_y = F.log_softmax(logits, -1)
    words, count = log_y.exp(), logits.shape[1]
    own = lm(torch.cat([left, words], 1))[:, left.shape[1] - 1 : -1]
    fluency = (own.exp() * log_y).sum((1, 2)) / count
    future = right_log_prob(lm, left, words, right) / max(1, len(right))
    overlap = words[..., sorted(set(right))].sum((1, 2)) / count
    return -(fluency + future + OVERLAP * overlap)


def langevin(
    value: Callable[[Tensor], Tensor],
    logits: Tensor,
    steps: int,
    rate: float,
    noise: PerSampleNoise,
    stds: Sequence[float] = STDS,
) -> Tensor:
    """Logits after so many noisy Adam steps down an energy."""
    leaf = logits.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([leaf], lr=rate)
    for step in range(steps):
        with torch.enable_grad():
            optimizer.zero_grad()
            value(leaf).sum().backward()
        optimizer.step()
        std = stds[step * len(stds) // steps]
        if std:
            with torch.no_grad():
                leaf += rate * std * noise.normal(*logits.shape[1:])
    return leaf.detach()


def discretise(lm: SoftLM, left: Tensor, logits: Tensor, top: int) -> Tensor:
    """Words (B, N): at each place the best logit among the `top` words that the LM finds likely."""
    done: list[Tensor] = []
    for place in range(logits.shape[1]):
        read = torch.cat(
            [left, *(F.one_hot(x, logits.shape[-1])[:, None].float() for x in done)], 1
        )
        likely = lm(read)[:, -1].topk(min(top, logits.shape[-1])).indices
        best = logits[:, place].gather(1, likely).argmax(-1, keepdim=True)
        done.append(likely.gather(1, best)[:, 0])
    return torch.stack(done, 1)


@dataclass(frozen=True, eq=False)
class Cold(System):
    """See the module docstring."""

    lab: Lab
    kinds: ClassVar[frozenset[str]] = frozenset({"infill"})
    sized: ClassVar[bool] = True
    slow: ClassVar[bool] = True

    @torch.no_grad()
    def generate(self, controls: Controls, n: int, seed: int) -> list[str]:
        """As `System`."""
        spec, vocab = infill_of(only(controls)), self.lab.base.vocab
        lm, right = soft(self.lab.base), vocab.encode(spec.right)
        left = one_hot(vocab.encode(spec.left), len(vocab), n)
        noise = PerSampleNoise(range(seed, seed + n), "cold")
        first = start(lm, left, spec.words or 1)
        first = first + noise.gumbel(*first.shape[1:])
        steps = self.lab.training.relaxed_steps
        logits = langevin(lambda y: energy(lm, left, y, right), first, steps, RATE, noise)
        masked = no_marks(logits.flatten(0, 1), vocab, 0).view_as(logits)
        return between(spec, vocab, discretise(lm, left, masked, TOP))


SYSTEMS = {"COLD": Cold}
