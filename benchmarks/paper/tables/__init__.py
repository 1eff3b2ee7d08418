"""The tables and figures, a file each: a module that has `TABLES`."""

from __future__ import annotations

from benchmarks.found import modules
from benchmarks.paper.tables.base import Table


def tables() -> dict[str, Table]:
    """Every table by the name it has on the command line."""
    found = (table for module in modules(__name__) for table in getattr(module, "TABLES", ()))
    return {table.name: table for table in found}
