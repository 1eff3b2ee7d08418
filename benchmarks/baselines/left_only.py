"""Left-only (§6.4): the AR base goes on from the left text and never sees the right one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from benchmarks.baselines.base import System, only
from benchmarks.baselines.lab import Lab
from benchmarks.baselines.soft import infill_of
from benchmarks.baselines.words import draw
from dlm_core.control.compose import Controls


@dataclass(frozen=True, eq=False)
class LeftOnly(System):
    """As many words as the gap has, END left out."""

    lab: Lab
    kinds: ClassVar[frozenset[str]] = frozenset({"infill"})

    def generate(self, controls: Controls, n: int, seed: int) -> list[str]:
        """As `System`."""
        spec, base = infill_of(only(controls)), self.lab.base
        left = torch.tensor([base.vocab.encode(spec.left)])
        after = base.after([])

        def next_word(words: Tensor) -> Tensor:
            log_p = after(torch.cat([left.expand(len(words), -1), words], 1))
            log_p[:, base.vocab.end] = -torch.inf
            return log_p

        rows = draw(next_word, range(seed, seed + n), base.vocab.end, spec.words or 1)
        sides = spec.left, spec.right
        return [f"{sides[0]} {base.vocab.decode(row)} {sides[1]}".strip() for row in rows]


SYSTEMS = {"left-only": LeftOnly}
