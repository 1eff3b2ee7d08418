"""Patterns: the gradient of acceptance (Diffinity) beside our exact conditioning."""

from __future__ import annotations

from benchmarks.paper.tables.control import ControlTable


class Patterns(ControlTable):
    """See the module docstring."""

    name, title = "patterns", "Patterns: the gradient of acceptance against exact conditioning"
    note = "Kim et al. (2026) report 68 to 96% on their own patterns, with PLAID."
    systems = ("Diffinity", "dlm")
    tasks = ("pattern",)


TABLES = (Patterns(),)
