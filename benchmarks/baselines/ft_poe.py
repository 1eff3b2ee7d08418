"""FT-PoE: a product of experts of fine-tuned models, one a control (Table 4).

p(next word) is proportional to the product of the experts' probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.baselines.ft import FineTuned, told
from benchmarks.baselines.words import NextWord, draw, texts_of
from dlm_core.control.compose import Controls


def product(experts: Sequence[NextWord]) -> NextWord:
    """The normalised product of next-word distributions."""

    def next_word(words: Tensor) -> Tensor:
        return F.log_softmax(torch.stack([expert(words) for expert in experts]).sum(0), -1)

    return next_word


class FTPoE(FineTuned):
    """One expert a control."""

    composes: ClassVar[bool] = True

    def generate(self, controls: Controls, n: int, seed: int) -> list[str]:
        """As `System`."""
        experts = [told(self.lab, Controls((term,))) for term in controls]
        both = product([tuned.after(given) for tuned, given in experts])
        vocab = self.lab.base.vocab
        rows = draw(both, range(seed, seed + n), vocab.end)
        return texts_of(rows, vocab)


SYSTEMS = {"FT-PoE": FTPoE}
