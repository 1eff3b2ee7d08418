"""none: no choice, the lowest seeds: the baseline for every other selector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from dlm_core.selection import SelectorSpec

if TYPE_CHECKING:
    from dlm_core.results import Result


class First(SelectorSpec):
    """No choice: the candidates of the lowest seeds."""

    kind: ClassVar[str] = "none"
    examples: ClassVar[tuple[str, ...]] = ("none",)

    def scores(self, candidates: Sequence[Result]) -> list[float]:
        """0 for each: ties go to the lower seed."""
        return [0.0] * len(candidates)
