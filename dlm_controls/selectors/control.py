"""control: the candidate that satisfies most controls, then the one they find likeliest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from dlm_core.selection import SelectorSpec

if TYPE_CHECKING:
    from dlm_core.results import Result

FAILED = 1e6  # nats; more than any sum of log-probabilities, which are floored at a word


class ByControl(SelectorSpec):
    """Most verdicts that hold, then the highest sum of weight * log p(control | words)."""

    kind: ClassVar[str] = "control"
    examples: ClassVar[tuple[str, ...]] = ("control",)

    def scores(self, candidates: Sequence[Result]) -> list[float]:
        """The weighted sum in nats, less 1e6 for each verdict that fails.

        A verdict that could not be judged counts as held, as in `Result.satisfied`.
        """
        return [
            sum(c.weight * c.log_prob for c in result.controls if c.log_prob is not None)
            - FAILED * sum(c.satisfied is False for c in result.controls)
            for result in candidates
        ]
