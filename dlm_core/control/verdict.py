"""Does a text satisfy a control? Light: imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Verdict:
    """Does a text satisfy a control?

    Attributes:
        satisfied: True, False, or None where it cannot be judged here (`detail` says why).
        detail: one line for the person.
        score: share of the control that holds, in [0, 1]; 1.0 or 0.0 unless it has parts.
        parts: named verdicts that it is made of, `right_field` say.
    """

    satisfied: bool | None
    detail: str = ""
    score: float | None = None
    parts: Mapping[str, bool] | None = None

    @property
    def share(self) -> float | None:
        """`score`, or 1.0 / 0.0 from `satisfied`."""
        if self.score is not None or self.satisfied is None:
            return self.score
        return float(self.satisfied)

    def __invert__(self) -> Verdict:
        """The verdict on the contrary; what cannot be judged stays so."""
        return Verdict(
            None if self.satisfied is None else not self.satisfied,
            self.detail,
            None if self.score is None else 1.0 - self.score,
            None if self.parts is None else {name: not held for name, held in self.parts.items()},
        )
