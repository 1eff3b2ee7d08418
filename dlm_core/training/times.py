"""Which times t a training step sees."""

from __future__ import annotations

import torch
from torch import Tensor

HISTORY = 10  # losses a time step remembers for importance sampling (Nichol & Dhariwal 2021, §3.3)


class LossAwareTimes:
    """p(t) proportional to sqrt(E[L_t^2]) (Nichol & Dhariwal 2021, eq. 18; paper App. B).

    Uniform until every time has `HISTORY` losses, mixed with 0.1% uniform after. To fill the
    history soon, times share it in `bins` neighbourhoods.
    """

    def __init__(self, train_steps: int, bins: int = 100) -> None:
        self.train_steps = train_steps
        self.bins = min(bins, train_steps)
        self.history = torch.ones(self.bins, HISTORY)
        self.counts = torch.zeros(self.bins, dtype=torch.int64)

    def _bin(self, k: Tensor) -> Tensor:
        return (k - 1) * self.bins // self.train_steps

    def probabilities(self) -> Tensor:
        """p over k = 1..T, (T,)."""
        if bool((self.counts < HISTORY).any()):
            weight = torch.ones(self.bins)
        else:
            weight = self.history.square().mean(-1).sqrt()
            weight = 0.999 * weight / weight.sum() + 0.001 / self.bins
        p = weight[self._bin(torch.arange(1, self.train_steps + 1))]
        return p / p.sum()

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Steps k (count,) and importance weights 1 / (T p_k) (count,)."""
        p = self.probabilities()
        k = torch.multinomial(p, count, replacement=True, generator=generator) + 1
        return k, 1.0 / (self.train_steps * p[k - 1])

    def update(self, k: Tensor, losses: Tensor) -> None:
        """Remember one (unweighted) loss a sample."""
        for b, loss in zip(self._bin(k).tolist(), losses.tolist(), strict=True):
            self.history[b] = torch.cat([self.history[b][1:], torch.tensor([loss])])
            self.counts[b] += 1


def stratified_times(
    train_steps: int, count: int, generator: torch.Generator, power: float = 1.0
) -> Tensor:
    """Steps k in 1..T, k/T = u^power with one u from each of `count` equal strata of (0, 1).

    Power 1 is uniform; 1/2 gives t the density 2t: more training on high noise.
    """
    u = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    k = (u**power * train_steps).long() + 1
    return k[torch.randperm(count, generator=generator)].clamp(max=train_steps)
