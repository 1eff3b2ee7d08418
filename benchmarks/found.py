"""What is found by its file: the modules of a room, and which of them join a table."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType


def modules(room: str) -> list[ModuleType]:
    """Every module of a package, in the order of their names."""
    names = sorted(found.name for found in iter_modules(import_module(room).__path__))
    return [import_module(f"{room}.{name}") for name in names]


def joining(room: str, table: str) -> list[ModuleType]:
    """Those whose `JOINS` has the table's name: what they bring is shown there, too."""
    return [module for module in modules(room) if table in getattr(module, "JOINS", ())]
