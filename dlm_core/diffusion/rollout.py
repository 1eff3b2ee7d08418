"""A sampler's step taken in training: the model's own words, and hints of the true ones.

In sampling x_t comes from words the model picked itself, and a control narrows the words it picks
from. A rollout shows both to the model in training. Shapes: B batch, L positions, V vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dlm_core.config import TrainConfig

SHARPNESS = 2.0
"""What is fed back is the mean word vector under q^2, as the sampler's default does."""
_COLDEST = 0.2  # words are picked at a temperature drawn from here to 1
_PARTITIONS = 16  # drawn for a batch; its texts take them in turn
_CELLS = 24  # a hint's partition has 2 to this many cells, about as many as there are word classes


class Rollout(NamedTuple):
    """The draws of one sampler step (`TrainConfig.rollout_rate`).

    Attributes:
        gap: (B,), how much earlier (noisier) than t the step begins.
        temperature: (B, 1, 1), at which the words of the clamp are picked.
        uniform: (B, L), picks them.
        noise: (B, L, D) standard normal, for q(x_t | x_{t + gap}, x_0_hat).
        cells: (B, V), a partition of the vocabulary for each text.
        hinted: (B, L), the positions whose word's cell is told.
    """

    gap: Tensor
    temperature: Tensor
    uniform: Tensor
    noise: Tensor
    cells: Tensor
    hinted: Tensor

    def hint(self, token_log_probs: Tensor, tokens: Tensor) -> Tensor:
        """Condition q (B, L, V) on the cells of the hinted true words (B, L); normalised.

        This is what a control on word classes does to q (`guidance.tilt`): exact, and no more is
        given away than the cell.
        """
        same = self.cells.gather(1, tokens)[..., None] == self.cells[:, None, :]  # (B, L, V)
        kept = token_log_probs.masked_fill(~same & self.hinted[..., None], -torch.inf)
        return kept.log_softmax(-1)


def draw_rollout(
    embedding_matrix: Tensor,
    batch: int,
    length: int,
    config: TrainConfig,
    generator: torch.Generator,
) -> Rollout:
    """A rollout of `batch` texts of `length` positions, on the CPU.

    A text has a hint with probability `config.hint_rate`: half of the hinted texts at every
    position (as parts of speech do), the others at a share of them drawn uniformly (as a pattern
    does). The cells are the Voronoi cells of random directions among the word vectors (V, D), noise
    added, so that like words tend to fall together, as they do in word classes.
    """
    dim = embedding_matrix.shape[1]

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    drawn = min(batch, _PARTITIONS)
    directions = torch.randn(drawn, dim, _CELLS, generator=generator) / dim**0.5
    scores = embedding_matrix.detach().float().cpu() @ directions  # (drawn, V, cells)
    scores = scores + torch.randn(scores.shape, generator=generator) * uniform(drawn, 1, 1)
    # log-uniform from 2 to _CELLS
    cells = (2 * (_CELLS / 2) ** uniform(drawn, 1, 1)).round()
    scores = scores.masked_fill(torch.arange(_CELLS) >= cells, -torch.inf)
    share = uniform(batch, 1)
    share = torch.where(uniform(batch, 1) < 0.5, 1.0, share)
    share = torch.where(uniform(batch, 1) < config.hint_rate, share, 0.0)
    return Rollout(
        gap=uniform(batch) * config.rollout_gap,
        temperature=_COLDEST + (1 - _COLDEST) * uniform(batch, 1, 1),
        uniform=uniform(batch, length),
        noise=torch.randn(batch, length, dim, generator=generator),
        cells=scores.argmax(-1)[torch.arange(batch) % drawn],
        hinted=uniform(batch, length) < share,
    )
