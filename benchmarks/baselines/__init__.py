"""The systems of the paper's tables, a file each.

A system is found by name: a module of this folder that has `SYSTEMS`, a dict of the name in the
tables to what makes it of a `Lab`. To add one, write such a file.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.baselines.base import System
    from benchmarks.baselines.lab import Lab


def systems() -> dict[str, Callable[[Lab], System]]:
    """What makes each system, by its name in the tables."""
    found: dict[str, Callable[[Lab], System]] = {}
    for module in sorted(iter_modules(__path__), key=lambda m: m.name):
        made = getattr(import_module(f"{__name__}.{module.name}"), "SYSTEMS", {})
        if twice := found.keys() & made.keys():
            raise ValueError(f"{module.name}.py: the system {min(twice)!r} is there already")
        found.update(made)
    return found
