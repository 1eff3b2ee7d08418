"""Paths that stand in a file are relative to it. Light."""

from __future__ import annotations

import os
from pathlib import Path

_NO_PATHS = ("hub",)
"""Readers behind whose colon stands no path."""


def beside(name: str, folder: Path) -> str:
    """READER:PATH with its path taken from `folder`; without a reader as it is, to be refused."""
    reader, colon, path = name.partition(":")
    if not path or reader in _NO_PATHS:
        return name
    return f"{reader}{colon}{folder / os.path.expanduser(path)}"
