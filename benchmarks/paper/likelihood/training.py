"""Training the bound: the net lowers its surrogate, the schedule the surrogate's variance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from benchmarks.paper.likelihood.bound import bound, even_times
from benchmarks.paper.likelihood.model import LikelihoodModel
from dlm_core.training.data import LengthBatches, collate

SCHEDULE_LR = 3e-3


def train(
    model: LikelihoodModel,
    texts: Sequence[Sequence[int]],
    pad: int,
    steps: int,
    lr: float,
    batch_tokens: int,
    seed: int,
    on_step: Callable[[int, float], None] = lambda step, nats: None,
) -> None:
    """Train in place.

    Args:
        model: what is trained.
        texts: ids of the words, each text of 1 to `max_len`.
        pad: fills up a batch.
        steps: how many.
        lr: highest rate, after a warm-up and before a linear decay.
        batch_tokens: positions a batch.
        seed: of order, times and noise.
        on_step: called with the step, from 1, and the surrogate in nats a word.
    """
    batches = LengthBatches(texts, batch_tokens, seed)
    draws = torch.Generator().manual_seed(seed)
    schedule = list(model.schedule.parameters())
    net = [p for name, p in model.named_parameters() if not name.startswith("schedule.")]
    optimizers = (
        torch.optim.AdamW(net, lr=lr, betas=(0.9, 0.98), weight_decay=0.01),
        torch.optim.Adam(schedule, lr=SCHEDULE_LR),
    )
    words = model.shift[-1].out_features
    warmup = max(1, min(200, steps // 10))
    model.train()
    for step in range(steps):
        tokens, lengths = collate(batches[step], pad)
        t = even_times(len(tokens), draws)
        losses = bound(model, model.schedule, tokens, lengths, words, t, draws).surrogate / lengths
        # E[loss] does not depend on the schedule between its ends, so E[loss^2] is its variance
        # up to a constant (Kingma et al. 2021, App. H)
        of_net = torch.autograd.grad(losses.mean(), net, retain_graph=True)
        of_schedule = torch.autograd.grad(losses.square().mean(), schedule)
        factor = min(1.0, (step + 1) / warmup) * (1 - step / steps)
        for optimizer, parameters, gradients, rate in zip(
            optimizers, (net, schedule), (of_net, of_schedule), (lr, SCHEDULE_LR), strict=True
        ):
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.param_groups[0]["lr"] = rate * factor
            optimizer.step()
        on_step(step + 1, losses.mean().item())
    model.eval()
