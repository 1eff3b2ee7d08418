"""The AR base itself: a GPT-2 from scratch that is asked for nothing."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.baselines.base import System
from benchmarks.baselines.lab import Lab
from benchmarks.baselines.words import draw, texts_of
from dlm_core.control.compose import Controls


@dataclass(frozen=True, eq=False)
class AR(System):
    """Free texts."""

    lab: Lab

    def does(self, controls: Controls) -> bool:
        """Only without controls."""
        return not controls

    def generate(self, controls: Controls, n: int, seed: int) -> list[str]:
        """As `System`."""
        vocab = self.lab.base.vocab
        return texts_of(draw(self.lab.base.after([]), range(seed, seed + n), vocab.end), vocab)


SYSTEMS = {"AR": AR}
