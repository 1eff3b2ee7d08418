"""Token batches for training: sequences laid out for the length mode, grouped by length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from dlm_core.config import ModelConfig
from dlm_core.errors import UsageError
from dlm_core.vocab import Vocab


def layout(ids: Sequence[int], config: ModelConfig, vocab: Vocab) -> list[int] | None:
    """Place the words of one text: bare (`prior`), or START words END PAD... (`padded`).

    Returns None if the text is empty or does not fit (`prior`); `padded` truncates, as released.
    """
    if config.length_mode == "prior":
        return list(ids) if 0 < len(ids) <= config.max_len else None
    body = [vocab.start, *ids[: config.max_len - 2], vocab.end]
    return body + [vocab.pad] * (config.max_len - len(body))


def lay_out(texts: Sequence[str], name: str, config: ModelConfig, vocab: Vocab) -> list[list[int]]:
    """Every text that fits, as `layout` places it.

    Raises:
        UsageError: none does; `name` is named.
    """
    laid_out = (layout(ids, config, vocab) for ids in vocab.encode_batch(texts))
    kept = [s for s in laid_out if s is not None]
    if not kept:
        raise UsageError(
            f"{name}: none of {len(texts)} texts has 1 to {config.max_len} words, the "
            "model's 'max_len'"
            if texts
            else f"{name}: no text"
        )
    return kept


def count_words(sequence: list[int], config: ModelConfig, vocab: Vocab) -> int:
    """Words of a laid-out text, START, END and PAD left out."""
    return len(sequence) if config.length_mode == "prior" else sequence.index(vocab.end) - 1


def collate(sequences: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Right-pad to the longest: tokens (B, L), lengths (B,)."""
    lengths = torch.tensor([len(s) for s in sequences])
    tokens = torch.full((len(sequences), int(lengths.max())), pad)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = torch.as_tensor(sequence)
    return tokens, lengths


class LengthBatches:
    """Batches of about `batch_tokens` positions and nearly equal lengths, in a seeded order.

    Batch k of the endless stream is a function of (sequences, seed, k) alone, so a resumed run
    needs no state but its step number.
    """

    def __init__(self, sequences: Sequence[Sequence[int]], batch_tokens: int, seed: int) -> None:
        self.sequences = sequences
        self.batch_tokens = batch_tokens
        self.seed = seed
        self.lengths = np.array([len(s) for s in sequences])
        self._epoch: tuple[int, list[list[int]]] | None = None
        self.batches_per_epoch = len(self._plan(0))

    def _plan(self, epoch: int) -> list[list[int]]:
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(len(self.sequences))
        order = order[np.argsort(self.lengths[order], kind="stable")]
        batches: list[list[int]] = []
        current: list[int] = []
        for i in order:  # ascending lengths: the newest member is the longest
            if current and (len(current) + 1) * self.lengths[i] > self.batch_tokens:
                batches.append(current)
                current = []
            current.append(int(i))
        batches.append(current)
        return [batches[k] for k in rng.permutation(len(batches))]

    def __getitem__(self, step: int) -> list[Sequence[int]]:
        # The number of batches does not depend on the shuffle: only lengths decide it.
        epoch, k = divmod(step, self.batches_per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = (epoch, self._plan(epoch))
        return [self.sequences[i] for i in self._epoch[1][k]]

    def __iter__(self) -> Iterator[list[Sequence[int]]]:
        step = 0
        while True:
            yield self[step]
            step += 1
