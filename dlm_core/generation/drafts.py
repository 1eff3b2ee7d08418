"""Drafts: a text is made several times at once, and what its own net finds likeliest stands.

Every draft has draws of its own, its length and the places of its phrases included. Of those with
the fewest faults the one is kept whose words have the most

    log p(words) + sum over controls of weight * log p(c | words)

a word, of controls that find no faults themselves; for log p(words) stands the cross-entropy of the
words at one level of noise (`dlm_core.diffusion.likelihood`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from dlm_core.control.protocol import SupportsFaults
from dlm_core.generation.prepare import Prepared
from dlm_core.generation.walk import Sample, Walk
from dlm_core.guidance.guard import Guard
from dlm_core.results import Step

WRITTEN = 4
"""Drafts of a text that the writer writes, where nothing else is asked."""


class Draft(NamedTuple):
    """One finished text.

    Attributes:
        words: ids, as many as the text has.
        log_probs: log p(c | words) of each control.
        steps: the last step's likeliest words, as `Result.drafts` has them.
        faults: how many its controls find.
        nats: of its words, a word.
        score: the one above.
        trace: what it was after each step, if that is asked.
    """

    words: list[int]
    log_probs: list[float]
    steps: tuple[str, str]
    faults: int
    nats: float
    score: float
    trace: tuple[Step, ...] = ()

    @property
    def rank(self) -> tuple[int, float]:
        """Lower is better."""
        return self.faults, -self.score


def other_seed(seed: int, number: int) -> int:
    """The seed of a further draft of the text of `seed`; of draft 0 it is its own."""
    if number == 0:
        return seed
    digest = hashlib.blake2b(f"draft {number}:{seed}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big")


def finders(guards: Sequence[Guard]) -> list[Guard]:
    """Those whose controls find faults in a text."""
    return [guard for guard in guards if isinstance(guard.control, SupportsFaults)]


def read_drafts(
    walk: Walk,
    prepared: Sequence[Prepared],
    batch: Sequence[Sample],
    words: Tensor,
    compared: bool = True,
) -> list[Draft]:
    """What there is to know of the texts of a walk.

    Args:
        walk: finished.
        prepared: the requests.
        batch: the texts.
        words: (B, L) ids.
        compared: False where none is chosen among others: the likelihood is left out.
    """
    log_probs = walk.final_log_probs(words)
    nats = walk.nats(words) if compared else [0.0] * len(words)
    found = []
    for row, (sample, ids) in enumerate(zip(batch, words.tolist(), strict=True)):
        guards = prepared[sample.owner].guards
        ids = ids[: sample.words]
        tokens = walk.model.vocab.tokens(ids)
        faults = sum(guard.faults(tokens) for guard in finders(guards))
        met = sum(
            guard.weight * value
            for guard, value in zip(guards, log_probs[row], strict=True)
            if not isinstance(guard.control, SupportsFaults)
        )
        steps = walk.drafts[0][row], walk.drafts[1][row]
        score = met / sample.words - nats[row]
        trace = tuple(step[row] for step in walk.trace)
        found.append(Draft(ids, log_probs[row], steps, faults, nats[row], score, trace))
    return found
