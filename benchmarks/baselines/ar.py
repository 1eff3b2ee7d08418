"""The AR base itself, a GPT-2 from scratch that is asked for nothing; and real texts beside it."""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.baselines.base import System
from benchmarks.baselines.lab import Lab
from benchmarks.baselines.words import draw, texts_of
from dlm_core.control.compose import Controls


@dataclass(frozen=True, eq=False)
class AR(System):
    """Free texts."""

    lab: Lab
    temperature: float = 1.0

    def does(self, controls: Controls) -> bool:
        """Only without controls."""
        return not controls

    def generate(self, controls: Controls, n: int, seed: int) -> list[str]:
        """As `System`."""
        vocab, likely = self.lab.base.vocab, self.lab.base.after([])

        def next_word(words: Tensor) -> Tensor:
            return torch.log_softmax(likely(words) / self.temperature, -1)

        return texts_of(draw(next_word, range(seed, seed + n), vocab.end), vocab)


@dataclass(frozen=True, eq=False)
class Real(System):
    """Validation texts, drawn by seed: where a system that writes as people do would stand."""

    lab: Lab

    def does(self, controls: Controls) -> bool:
        """Only without controls."""
        return not controls

    def generate(self, controls: Controls, n: int, seed: int) -> list[str]:
        """As `System`."""
        texts = self.lab.texts("valid")
        return [" ".join(random.Random(seed + k).choice(texts)) for k in range(n)]


SYSTEMS = {"AR": AR, "real texts": Real}
