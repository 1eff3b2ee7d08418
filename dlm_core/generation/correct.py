"""Correction: texts with faults are noised again, part of the way, and finished anew.

A draft is asked of its own controls (`SupportsFaults`), never of what judges in a benchmark. What
was right is mostly kept, since noise at t < 1 leaves much of the text, and only texts with faults
cost more steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dlm_core.control.protocol import SupportsFaults
from dlm_core.generation.prepare import Prepared
from dlm_core.generation.walk import Sample, Walk

TIMES = (0.8, 0.9, 1.0)
"""How far the first, the second and all further corrections go back."""


def count_faults(prepared: Sequence[Prepared], sample: Sample, words: Sequence[str]) -> int:
    """Faults that the controls of a text find in it."""
    guards = prepared[sample.owner].guards
    return sum(g.faults(words) for g in guards if isinstance(g.control, SupportsFaults))


def correct(
    walk: Walk,
    prepared: Sequence[Prepared],
    batch: Sequence[Sample],
    words: Tensor,
    rounds: int,
    again: Callable[[Sequence[Sample], str], Walk],
) -> Tensor:
    """The words (B, L) of a batch, with as few faults as `rounds` corrections leave.

    Args:
        walk: that made them; its drafts become those of the texts that are kept.
        prepared: the requests.
        batch: the texts.
        words: (B, L) ids.
        rounds: how often at most.
        again: a new walk of some texts, with draws of their own name.
    """

    def faults(rows: Sequence[int], found: Tensor) -> list[int]:
        return [
            count_faults(prepared, batch[row], walk.model.vocab.tokens(ids[: batch[row].words]))
            for row, ids in zip(rows, found.tolist(), strict=True)
        ]

    left = faults(range(len(batch)), words)
    words = words.clone()
    for k in range(rounds):
        rows = [row for row, count in enumerate(left) if count]
        if not rows:
            break
        redone = again([batch[row] for row in rows], f"correction {k}")
        t = TIMES[min(k, len(TIMES) - 1)]
        found = redone.run(start=(words[torch.tensor(rows)][:, : redone.longest], t))
        for place, (row, count) in enumerate(zip(rows, faults(rows, found), strict=True)):
            if count < left[row]:
                left[row] = count
                words[row, : redone.longest] = found[place]
                for draft, other in zip(walk.drafts, redone.drafts, strict=True):
                    draft[row] = other[place]
    return words
