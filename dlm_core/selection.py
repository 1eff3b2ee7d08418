"""The Selector protocol: pick among the candidates of one request. Light: imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from dlm_core.results import Result


class SelectorSpec(BaseModel):
    """Base of all selectors; its fields are the selector's options.

    A selector scores the candidates of one request; the caller keeps the best. It never sees
    references.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str] = ""
    positional: ClassVar[tuple[str, ...]] = ()
    examples: ClassVar[tuple[str, ...]] = ()

    def scores(self, candidates: Sequence[Result]) -> list[float]:
        """One score a candidate, higher is better; ties go to the lower seed."""
        raise NotImplementedError


def select(selector: SelectorSpec, candidates: Sequence[Result], keep: int) -> list[Result]:
    """The `keep` best candidates, best first, with their score and rank filled in."""
    scores = selector.scores(candidates)
    if len(scores) != len(candidates):
        raise ValueError(f"{selector.kind}: {len(scores)} scores for {len(candidates)} candidates")
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], candidates[i].seed))
    return [
        candidates[i].model_copy(update={"score": scores[i], "rank": rank})
        for rank, i in enumerate(order[:keep])
    ]
