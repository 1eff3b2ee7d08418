"""The tasks, a file each: a module that has `TASKS`, and `CONDITION` if a baseline can learn it."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from benchmarks.baselines.base import Condition
from benchmarks.paper.tasks.base import Task


def _found(name: str) -> list[Any]:
    modules = (import_module(f"{__name__}.{m.name}") for m in iter_modules(__path__))
    return [getattr(module, name) for module in modules if hasattr(module, name)]


def tasks() -> dict[str, Task]:
    """Every task by name."""
    return {task.name: task for group in _found("TASKS") for task in group}


def conditions() -> dict[str, Condition]:
    """Every condition by its kind of control."""
    return {condition.kind: condition for condition in _found("CONDITION")}
