"""What is random in a training step: a function of the seed and the step's number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dlm_core.config import TrainConfig
from dlm_core.diffusion.denoisers.shown import ShownIds
from dlm_core.diffusion.rollout import Rollout, draw_rollout
from dlm_core.training.data import collate
from dlm_core.training.times import LossAwareTimes, stratified_times


class Batch(NamedTuple):
    """B texts of up to L words, and the draws of their step."""

    tokens: Tensor
    lengths: Tensor
    noise: tuple[Tensor, Tensor]
    k: Tensor
    importance: Tensor
    self_condition: bool
    rollout: Rollout | None
    shown: ShownIds | None = None


def draw_batch(
    sequences: Sequence[Sequence[int]],
    step: int,
    config: TrainConfig,
    times: LossAwareTimes,
    words: Tensor,
    pad: int,
) -> Batch:
    """The draws of a step for these texts.

    Args:
        sequences: word ids, laid out.
        step: its number.
        config: settings of the run.
        times: losses by time, for importance sampling.
        words: (V, D), the word vectors.
        pad: id of PAD.
    """
    generator = torch.Generator().manual_seed((config.seed * 1_000_003 + step) * 2 + 1)
    count = len(sequences)
    tokens, lengths = collate(sequences, pad)
    shape = (*tokens.shape, config.model.embedding_dim)
    noise = (torch.randn(shape, generator=generator), torch.randn(shape, generator=generator))
    if config.importance_sampling:
        k, importance = times.sample(count, generator)
    else:
        k = stratified_times(config.model.train_steps, count, generator, config.time_power)
        importance = torch.ones(count)
    self_condition = config.model.self_conditioning and bool(
        torch.rand((), generator=generator) < config.self_conditioning_rate
    )
    rollout = None
    if self_condition and bool(torch.rand((), generator=generator) < config.rollout_rate):
        rollout = draw_rollout(words, count, tokens.shape[1], config, generator)
    return Batch(tokens, lengths, noise, k, importance, self_condition, rollout)
