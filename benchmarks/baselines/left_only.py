"""Left-only (§6.4): the AR base goes on from the left text and never sees the right one.

Where the number of words is open it writes one sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from benchmarks.baselines.base import System, only
from benchmarks.baselines.lab import Lab
from benchmarks.baselines.words import MOST_WORDS, draw
from dlm_controls import Infill
from dlm_core.control.compose import Controls
from dlm_core.corpora.prepare import split_sentences


@dataclass(frozen=True, eq=False)
class LeftOnly(System):
    """As many words as the gap has, or a sentence; END left out."""

    lab: Lab
    kinds: ClassVar[frozenset[str]] = frozenset({"infill"})

    def generate(self, controls: Controls, n: int, seed: int) -> list[str]:
        """As `System`."""
        spec, base = only(controls), self.lab.base
        assert isinstance(spec, Infill)
        left = torch.tensor([base.vocab.encode(spec.left)])
        after = base.after([])

        def next_word(words: Tensor) -> Tensor:
            log_p = after(torch.cat([left.expand(len(words), -1), words], 1))
            log_p[:, base.vocab.end] = -torch.inf
            return log_p

        most = spec.words or MOST_WORDS - left.shape[1]
        rows = draw(next_word, range(seed, seed + n), base.vocab.end, most)
        gaps = [base.vocab.tokens(row) for row in rows]
        if spec.words is None:
            gaps = [next(split_sentences(gap), []) for gap in gaps]
        return [" ".join([*spec.left.split(), *gap, *spec.right.split()]) for gap in gaps]


SYSTEMS = {"left-only": LeftOnly}
