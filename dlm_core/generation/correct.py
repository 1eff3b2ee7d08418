"""Correction: texts with faults are noised again, part of the way, and finished anew.

A draft is asked of its own controls (`SupportsFaults`), never of what judges in a benchmark; one
that its writer finds stranger than many a text of people (`Writer.usual`) has a fault, too.
What was right is mostly kept, since noise at t < 1 leaves much of the text, and only texts with
faults cost more steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from dlm_core.generation.drafts import Draft, read_drafts
from dlm_core.generation.prepare import Prepared
from dlm_core.generation.walk import Sample, Walk

TIMES = (0.8, 0.9, 1.0)
"""How far the first, the second and all further corrections go back."""


def correct(
    drafts: Sequence[Draft],
    prepared: Sequence[Prepared],
    batch: Sequence[Sample],
    rounds: int,
    again: Callable[[Sequence[Sample], str], Walk],
) -> list[Draft]:
    """The drafts of a batch, with as few faults as `rounds` corrections leave.

    Args:
        drafts: one a text.
        prepared: the requests.
        batch: the texts.
        rounds: how often at most.
        again: a new walk of some texts, with draws of their own name.
    """
    best = list(drafts)
    for k in range(rounds):
        rows = [
            row
            for row, (draft, sample) in enumerate(zip(best, batch, strict=True))
            if draft.faults or _is_torn(draft, prepared[sample.owner])
        ]
        if not rows:
            break
        some = [batch[row] for row in rows]
        redone = again(some, f"correction {k}")
        words = torch.zeros(len(rows), redone.longest, dtype=torch.long, device=redone.words.device)
        for place, row in enumerate(rows):
            ids = torch.tensor(best[row].words, device=words.device)
            words[place, : len(ids)] = ids
        found = redone.run(start=(words, TIMES[min(k, len(TIMES) - 1)]))
        for row, draft in zip(rows, read_drafts(redone, prepared, some, found), strict=True):
            draft = draft._replace(trace=best[row].trace + draft.trace)
            best[row] = min(best[row], draft, key=lambda one: one.rank)
    return best


def _is_torn(draft: Draft, prepared: Prepared) -> bool:
    return prepared.writer is not None and draft.nats > prepared.writer.usual
