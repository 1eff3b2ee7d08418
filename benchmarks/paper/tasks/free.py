"""Free texts: nothing is asked, so that fluency and variety alone are seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from benchmarks.baselines.lab import Lab
from benchmarks.paper.tasks.base import Scores, Target, Task
from dlm_core.control.compose import Controls

GROUPS = 200


class FreeTask(Task):
    """Groups of texts; a group is a target, over which intervals are taken."""

    name, title = "free", "Free texts"
    measures: ClassVar[dict[str, str]] = {}

    def all_targets(self, lab: Lab) -> list[Target]:
        """As `Task`."""
        return [Target(Controls(), "") for _ in range(GROUPS)]

    def judge(self, targets: Sequence[Target], groups: Sequence[Sequence[str]]) -> Scores:
        """As `Task`: nothing."""
        return {}


TASKS = (FreeTask(),)
