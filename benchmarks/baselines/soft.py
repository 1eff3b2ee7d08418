"""A language model on word distributions: what DELOREAN and COLD differentiate through.

Shapes: B texts, L places, V words.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.baselines.words import WordLM
from dlm_controls import Infill
from dlm_core.control.compose import ControlSpec
from dlm_core.errors import UsageError
from dlm_core.vocab import Vocab

SoftLM = Callable[[Tensor], Tensor]
"""(B, L, V) distributions of words -> (B, L, V) log p of the word that follows each place."""
IMPOSSIBLE = -1e4
"""log p of START, UNK and PAD: finite, so that nothing is multiplied by infinity."""


def soft(lm: WordLM) -> SoftLM:
    """A GPT-2 that reads mixtures of word vectors behind START."""
    vocab, model = lm.vocab, lm.model
    vectors = model.transformer.wte.weight[: len(vocab)].detach()
    marks = [vocab.start, vocab.unk, vocab.pad]

    def log_probs(words: Tensor) -> Tensor:
        start = vectors[vocab.start].expand(len(words), 1, -1)
        read = model.transformer(inputs_embeds=torch.cat([start, words @ vectors], 1))
        logits = model.lm_head(read.last_hidden_state[:, 1:])[..., : len(vocab)]
        return F.log_softmax(logits.index_fill(-1, torch.tensor(marks), IMPOSSIBLE), -1)

    return log_probs


def one_hot(ids: list[int], size: int, rows: int) -> Tensor:
    """Words that are known, as distributions, (rows, L, V)."""
    return F.one_hot(torch.tensor(ids, dtype=torch.long), size).float().expand(rows, -1, -1)


def infill_of(spec: ControlSpec) -> Infill:
    """The spec as a gap of known size.

    Raises:
        UsageError: it is no infill, or how many words to write is open.
    """
    if not isinstance(spec, Infill) or spec.words is None or not spec.left:
        raise UsageError(f"'{spec}' is no gap behind a left text", "infill:left=...,words=5")
    return spec


def between(spec: Infill, vocab: Vocab, gaps: Tensor) -> list[str]:
    """The texts whose gaps hold these ids (B, N)."""
    left, right = spec.left.split(), spec.right.split()
    return [" ".join([*left, vocab.decode(row), *right]) for row in gaps.tolist()]


def right_log_prob(lm: SoftLM, left: Tensor, gap: Tensor, right: list[int]) -> Tensor:
    """log p(right words | left, gap), summed, (B,)."""
    if not right:
        return gap.new_zeros(len(gap))
    known = one_hot(right, gap.shape[-1], len(gap))
    before = left.shape[1] + gap.shape[1]
    log_p = lm(torch.cat([left, gap, known], 1))[:, before - 1 : -1]
    return (log_p * known).sum((1, 2))
