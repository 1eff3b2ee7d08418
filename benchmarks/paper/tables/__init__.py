"""The tables and figures, a file each: a module that has `TABLES`."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from benchmarks.paper.tables.base import Table


def tables() -> dict[str, Table]:
    """Every table by the name it has on the command line."""
    modules = (import_module(f"{__name__}.{m.name}") for m in iter_modules(__path__))
    found = (table for module in modules for table in getattr(module, "TABLES", ()))
    return {table.name: table for table in found}
