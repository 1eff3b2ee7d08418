"""AR infilling (Donahue et al. 2020; §6.4): left and right first, then what stands between.

A GPT-2 fine-tuned on (left, right, number of words) -> middle; see `paper/tasks/infill.py`.
"""

from __future__ import annotations

from typing import ClassVar

from benchmarks.baselines.base import only
from benchmarks.baselines.ft import FTSample
from dlm_core.control.compose import Controls


class ARInfill(FTSample):
    """Drawn at temperature 1."""

    kinds: ClassVar[frozenset[str]] = frozenset({"infill"})

    def generate(self, controls: Controls, n: int, seed: int) -> list[str]:
        """As `System`; both sides around what is drawn."""
        spec = only(controls)
        condition = self.lab.condition(spec.kind)
        return [condition.whole(spec, middle) for middle in super().generate(controls, n, seed)]


SYSTEMS = {"AR infilling": ARInfill}
