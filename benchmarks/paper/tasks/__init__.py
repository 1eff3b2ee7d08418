"""The tasks, a file each: a module that has `TASKS`, and `CONDITION` if a baseline can learn it.

`JOINS = ("2",)` in it makes them columns of these tables.
"""

from __future__ import annotations

from typing import Any

from benchmarks.baselines.base import Condition
from benchmarks.found import modules
from benchmarks.paper.tasks.base import Task


def _found(name: str) -> list[Any]:
    return [getattr(module, name) for module in modules(__name__) if hasattr(module, name)]


def tasks() -> dict[str, Task]:
    """Every task by name."""
    return {task.name: task for group in _found("TASKS") for task in group}


def conditions() -> dict[str, Condition]:
    """Every condition by its kind of control."""
    return {condition.kind: condition for condition in _found("CONDITION")}
