"""The words a sequence of tags asks for: the part of the `pos` head that writes (`words_given`).

The tagger says of a word how it would be tagged; that alone takes the likeliest words of each tag,
whatever they make together. This net is shown all tags at once.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dlm_controls.heads.words_given import NOTHING_SHOWN, WordsGiven, WordsTraining
from dlm_core.bundle import read_weights, write_weights
from dlm_core.diffusion.surroundings import loading
from dlm_core.errors import MissingError
from dlm_core.heads import fill
from dlm_core.training.data import LengthBatches, collate
from dlm_core.training.heads import fit
from dlm_core.training.seeds import seeded

if TYPE_CHECKING:
    from dlm_core.bundle import Model
    from dlm_core.control.protocol import BuildContext

FILE = "words.safetensors"


def codes(labels: Tensor) -> Tensor:
    """Label ids (B, L), -1 where any will do, -> what the net is shown, (B, L, 1)."""
    return (labels + NOTHING_SHOWN + 1)[..., None]


@loading()
def load_tag_words(context: BuildContext, kind: str, labels: int) -> WordsGiven:
    """The net that `dlm train control KIND` stored in the bundle, frozen.

    Raises:
        MissingError: the head was trained by an earlier version.
    """
    path = context.info.head_path(kind) / FILE
    if not path.is_file():
        raise MissingError(
            f"the head of control '{kind}' in {path.parent} has no {FILE}",
            context.info.train_command(kind),
        )
    net = WordsGiven(len(context.vocab), labels + 1, context.info.config.max_len)
    fill(net, read_weights(path, context.model.digest), context.info, kind)
    return net.to(context.device).eval().requires_grad_(False)


class _Tagged(list[int]):
    """Word ids with their label ids."""

    def __init__(self, words: Sequence[int], labels: Sequence[int]) -> None:
        super().__init__(words)
        self.labels = list(labels)


def _hidden(labels: Sequence[int], rng: random.Random) -> list[int]:
    """The labels as a user may give them: all, those before or after a gap, or some of them."""
    kind, n = rng.random(), len(labels)
    if kind < 0.5:
        return list(labels)
    if kind < 0.75:
        start, end = sorted(rng.randrange(n + 1) for _ in range(2))
        return [-1 if start <= i < end else k for i, k in enumerate(labels)]
    rate = rng.random()
    return [-1 if rng.random() < rate else k for k in labels]


def train_tag_words(
    model: Model,
    texts: Sequence[Sequence[int]],
    tags: Sequence[Sequence[int]],
    labels: int,
    out: Path,
    *,
    steps: int = 3200,
    batch_tokens: int = 1024,
    lr: float = 2e-3,
    seed: int = 0,
    on_step: Callable[[int, int, float], None] | None = None,
) -> dict[str, float]:
    """Train on tagged texts and write `out`/words.safetensors; the last 2% are held out.

    Args:
        model: gives words, noise and the rounding distributions; it stays as it is.
        texts, tags: word ids and label ids, one a word.
        labels: how many labels there are.
        out: folder for the file.
        on_step: called with step, steps and loss.

    Returns:
        held-out cross-entropy of the words (nats) at t = 0.7 by the denoiser alone and with tags.
    """
    rows = [_Tagged(*row) for row in zip(texts, tags, strict=True)]
    held = max(1, len(rows) // 50)
    with seeded(seed, model.device):
        net = WordsGiven(len(model.vocab), labels + 1, model.info.config.max_len).to(model.device)
        loss = _batch_loss(model, net, rows[:-held], batch_tokens, seed)
        fit([net], loss, steps, lr=lr, warmup=100, beta2=0.99, fast=True, on_step=on_step)
    write_weights(out / FILE, net.state_dict(), model.digest, model.info.bits)
    return _figures(model, net, rows[-held:])


def _batch_loss(
    model: Model, net: WordsGiven, rows: Sequence[_Tagged], batch_tokens: int, seed: int
) -> Callable[[int], Tensor]:
    """The loss of a step; every other step goes on from what the last one saw."""
    batches = LengthBatches(rows, batch_tokens, seed)
    training = WordsTraining(model, net, seed)
    rng = random.Random(seed)
    seen = None

    def loss(step: int) -> Tensor:
        nonlocal seen
        if step % 2 and seen is not None:
            return training.loss(training.stepped(seen))
        batch: Any = batches[step // 2]
        shown, _ = collate([_hidden(row.labels, rng) for row in batch], -1)
        seen = training.noised(batch, codes(shown))
        return training.loss(seen)

    return loss


@torch.no_grad()
def _figures(model: Model, net: WordsGiven, rows: Sequence[_Tagged]) -> dict[str, float]:
    training = WordsTraining(model, net, 0)
    losses: dict[str, list[float]] = {"words t=0.7": [], "words t=0.7, tags": []}
    for k in range(0, len(rows), 16):
        batch = rows[k : k + 16]
        shown, _ = collate([row.labels for row in batch], -1)
        seen = training.noised(batch, codes(shown), 0.7)
        for values, informed in zip(losses.values(), (False, True), strict=True):
            values.append(float(training.loss(seen, informed)))
    return {name: round(sum(v) / len(v), 4) for name, v in losses.items()}
