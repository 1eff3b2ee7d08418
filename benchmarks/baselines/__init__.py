"""The systems of the paper's tables, a file each.

A system is found by name: a module of this folder that has `SYSTEMS`, a dict of the name in the
tables to what makes it of a `Lab`. To add one, write such a file; `JOINS = ("2", "4")` in it makes
it a row of these tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmarks.found import modules

if TYPE_CHECKING:
    from benchmarks.baselines.base import System
    from benchmarks.baselines.lab import Lab


def systems() -> dict[str, Callable[[Lab], System]]:
    """What makes each system, by its name in the tables."""
    found: dict[str, Callable[[Lab], System]] = {}
    for module in modules(__name__):
        made = getattr(module, "SYSTEMS", {})
        if twice := found.keys() & made.keys():
            raise ValueError(f"{module.__file__}: the system {min(twice)!r} is there already")
        found.update(made)
    return found
