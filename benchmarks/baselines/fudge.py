"""FUDGE (Yang and Klein 2021): the AR base, its next words reweighted by a future discriminator.

log p(w | words, c) = log p(w | words) + lambda log p(c | words, w) over the 200 likeliest w, of
which the 10 best stay; lambda is Table 6's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.baselines.discriminator import Future
from benchmarks.baselines.ft import Learned
from benchmarks.baselines.lab import Lab
from benchmarks.baselines.words import NextWord, draw, texts_of
from dlm_core.control.compose import Controls

BEFORE, AFTER = 200, 10
"""Words that are reweighted, and words that are drawn from (App. B)."""


def reweighted(
    next_word: NextWord,
    futures: Sequence[tuple[float, Future]],
    before: int = BEFORE,
    after: int = AFTER,
) -> NextWord:
    """The next word under some discriminators and their lambdas."""

    def steered(words: Tensor) -> Tensor:
        log_p = next_word(words)
        likely = log_p.topk(min(before, log_p.shape[1]))
        score = likely.values
        for weight, future in futures:
            score = score + weight * future(words, likely.indices)
        best = score.topk(min(after, score.shape[1]))
        out = torch.full_like(log_p, -torch.inf)
        return out.scatter(
            1, likely.indices.gather(1, best.indices), F.log_softmax(best.values, -1)
        )

    return steered


@dataclass(frozen=True, eq=False)
class Fudge(Learned):
    """A discriminator a control, their log-probabilities summed."""

    lab: Lab
    composes: ClassVar[bool] = True

    def prepare(self, asked: Sequence[Controls]) -> None:
        """Train the discriminators."""
        for kind in {term.spec.kind for controls in asked for term in controls}:
            self.lab.discriminator(kind)

    def generate(self, controls: Controls, n: int, seed: int) -> list[str]:
        """As `System`."""
        futures = []
        for term in controls:
            condition = self.lab.condition(term.spec.kind)
            net = self.lab.discriminator(term.spec.kind)
            futures.append((condition.fudge_weight, net.future(condition, term.spec)))
        base = self.lab.base
        rows = draw(reweighted(base.after([]), futures), range(seed, seed + n), base.vocab.end)
        return texts_of(rows, base.vocab)


SYSTEMS = {"FUDGE": Fudge}
