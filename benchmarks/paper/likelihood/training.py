"""Training: the net says the words at every noise, the schedule lowers the bound's variance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from benchmarks.paper.likelihood.bound import even_times, seen
from benchmarks.paper.likelihood.model import LikelihoodModel
from benchmarks.paper.likelihood.schedule import Level
from dlm_core.config import TrainConfig
from dlm_core.training.data import LengthBatches, collate
from dlm_core.training.optimizers import lr_factor, make_optimizers
from dlm_core.training.parallel import resolve_precision

SCHEDULE_LR = 1e-2


def train(
    model: LikelihoodModel,
    texts: Sequence[Sequence[int]],
    pad: int,
    config: TrainConfig,
    on_step: Callable[[int, float], None] = lambda step, nats: None,
) -> None:
    """Train in place.

    Every level of noise counts alike (the words' cross-entropy without the bound's weight): the
    best answer at a level is the same under any weight, and the bound's own, which goes from 0 to
    hundreds, makes a gradient of a few texts. Where the levels lie is the schedule's, and its
    gradient that of the variance of the weighted cross-entropy (App. F; Kingma et al. 2021,
    App. H), by the chain rule from one pass through the net.

    Args:
        model: what is trained.
        texts: ids of the words, each text of 1 to `max_len`.
        pad: fills up a batch.
        config: steps, rates, batch, seed, optimizer, precision.
        on_step: called with the step, from 1, and the bound's diffusion part in nats a word; the
            weighted cross-entropy is three times as large, and no bound.
    """
    batches = LengthBatches(texts, config.batch_tokens, config.seed)
    draws = torch.Generator().manual_seed(config.seed)
    parts = {name: child for name, child in model.named_children() if name != "schedule"}
    of_schedule = torch.optim.Adam(model.schedule.parameters(), lr=SCHEDULE_LR)
    optimizers = [*make_optimizers(nn.ModuleDict(parts), config), of_schedule]
    courses = [LambdaLR(o, partial(lr_factor, config=config)) for o in optimizers]
    bf16 = resolve_precision(config.precision, "cpu") == "bf16"
    model.train()
    for step in range(config.max_steps):
        tokens, lengths = collate(batches[step], pad)
        learned = model.schedule(even_times(len(tokens), draws))
        level = Level(*(part.detach().requires_grad_() for part in learned))
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            found = seen(model, level, tokens, lengths, model.words, draws)
        words = lengths.sum()
        (found.surprise.sum() / words).backward()
        # of each text nats = weight * surprise / length, and d nats^2 = 2 nats d nats
        weight, surprise = level.weight.detach(), found.surprise.detach() / lengths
        nats = weight * surprise
        by_gamma = weight * (level.gamma.grad * words / lengths - surprise)  # d weight = -weight
        by_slope = nats / level.slope.detach()
        torch.autograd.backward(learned, [2 * nats * d / len(nats) for d in (by_gamma, by_slope)])
        for parameters in (optimizers[0].param_groups[0]["params"], model.schedule.parameters()):
            nn.utils.clip_grad_norm_(parameters, config.clip_norm)
        for optimizer, course in zip(optimizers, courses, strict=True):
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            course.step()
        with torch.no_grad():
            on_step(step + 1, float((weight * found.error / lengths).mean()))
    model.eval()
