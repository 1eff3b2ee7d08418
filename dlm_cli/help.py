"""What help pages share."""

from __future__ import annotations

import typer


def examples(*lines: str) -> str:
    """An epilog of examples, one a line."""
    return "\n".join(["Examples", *(f"  {line}" for line in lines)])


def group(summary: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(no_args_is_help=True, help=summary, rich_markup_mode="rich")
