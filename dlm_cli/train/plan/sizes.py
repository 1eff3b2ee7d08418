"""How large a net is trained for how long, by what the machine does in the time there is."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlm_core.config import TrainConfig
    from dlm_core.vocab import Vocab

NETS = ((128, 4), (192, 4), (256, 6))
"""Width and blocks, from small to large; 4 heads each."""
SHARES = {"lm": 0.50, "writer": 0.17, "heads": 0.10, "teacher": 0.05, "figures": 0.18}
"""Of the time; figures are the stages `temperature` and `evaluate`."""
BATCH = 1536
_ENOUGH = 8_000_000
"""Positions that a net should see in training; a smaller one sees more in the same time."""
_FEWEST_PASSES, _PASSES = 3, 150
"""Over a large corpus, at least; more over a small one teach it by heart."""
_WRITER, _HEAD = 1.5, 1.0
"""Cost of a position to the writer, and to a head, in those of the model."""
_HEAD_BATCH, _HEAD_STEPS = 1024, 3_200
_WRITER_BATCH = 1_024
_TEACHER_SPEED = 2.0
"""Words a teacher reads in training, in positions of the 128 x 4 net."""


@dataclass(frozen=True)
class Sizes:
    """What is trained, and how long.

    Attributes:
        hidden, layers: the net's.
        steps, writer_steps, head_steps: optimiser steps; of each head.
        teacher_epochs: passes.
        speed: positions a second of the net on this machine.
        passes: over the corpus, of the model.
        seconds: of the model's training.
        enough: passes that teach a model as much as it should know.
        minutes: of the whole run, in which the smallest net makes so many.
    """

    hidden: int
    layers: int
    steps: int
    writer_steps: int
    head_steps: int
    teacher_epochs: float
    speed: float
    passes: float
    seconds: float
    enough: float
    minutes: float


def choose_sizes(
    minutes: float, positions: int, heads: int, speed: Callable[[int, int], float]
) -> Sizes:
    """The largest net that sees enough in its share of the time.

    Args:
        minutes: for everything.
        positions: of the corpus, words or pieces.
        heads: how many are trained.
        speed: positions a second that a net of this width and so many blocks is trained on.
    """
    time_of = {stage: share * 60 * minutes for stage, share in SHARES.items()}
    enough = min(max(_ENOUGH, _FEWEST_PASSES * positions), _PASSES * positions)
    smallest = speed(*NETS[0])
    net, rate = NETS[0], smallest
    for candidate in reversed(NETS[1:]):
        # a net is measured only where it might do
        found = speed(*candidate) if smallest * time_of["lm"] > enough else 0.0
        if found * time_of["lm"] >= enough:
            net, rate = candidate, found
            break
    seen = min(rate * time_of["lm"], _PASSES * positions)
    steps = max(20, int(seen / BATCH))
    writer = int(rate / _WRITER * time_of["writer"] / _WRITER_BATCH)
    head = int(rate / _HEAD * time_of["heads"] / max(1, heads) / _HEAD_BATCH)
    epochs = smallest * _TEACHER_SPEED * time_of["teacher"] / max(1, positions)
    return Sizes(
        *net, steps, max(20, min(writer, 10_000, steps)), max(20, min(head, _HEAD_STEPS)),
        round(min(max(epochs, 0.2), 10.0), 1), rate, steps * BATCH / positions,
        steps * BATCH / rate, enough / positions, enough / smallest / SHARES["lm"] / 60,
    )  # fmt: skip


def measured(
    config: TrainConfig, vocab: Vocab, texts: Sequence[str], seconds: float = 2.0
) -> float:
    """Positions a second that a model of this configuration is trained on here."""
    from dlm_core.training.loop import Trainer

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config.with_vocab(len(vocab)), vocab, texts, texts[:8], Path(folder))
        trainer.train_step()  # the first one makes room
        began, positions = time.perf_counter(), 0
        while (spent := time.perf_counter() - began) < seconds:
            positions += sum(map(len, trainer.batches[trainer.step]))
            trainer.train_step()
    return positions / spent
