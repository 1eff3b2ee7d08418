"""`dlm train lm FILE`: a whole run in one TOML, its corpus and folder beside its settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

PLACES = ("corpus", "valid", "out")
"""Keys of the file that are options of the command."""


def read_settings(file: Path | None, config: Path | None) -> dict[str, Any]:
    """The training settings of FILE or of --config.

    Raises:
        UsageError: both are given.
    """
    from dlm_core.config import load_toml
    from dlm_core.errors import UsageError

    if file is not None and config is not None:
        raise UsageError(f"argument '{file}' and option '--config' exclude each other")
    if file is None:
        return load_toml(config) if config else {}
    return {key: value for key, value in load_toml(file).items() if key not in PLACES}


def take_places(context: typer.Context, file: Path | None) -> Path | None:
    """Callback of FILE: its places become the defaults of the options not given.

    Raises:
        UsageError: one is no string.
    """
    if file is None or context.resilient_parsing:
        return file
    from dlm_core.config import load_toml
    from dlm_core.errors import UsageError
    from dlm_core.recipes.places import beside

    file = Path(os.path.expanduser(file))
    data, places = load_toml(file), {}
    for key in PLACES:
        if key not in data:
            continue
        if not isinstance(data[key], str):
            raise UsageError(f"{file}, key '{key}': must be a string")
        if key == "out":
            places[key] = str(file.parent / os.path.expanduser(data[key]))
        else:
            places[key] = beside(data[key], file.parent)
    context.default_map = places
    return file


SettingsFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE",
        help="TOML of a whole run: what --config has, and 'corpus', 'valid' and 'out', whose paths "
        "are relative to it. Options given beside it win.",
        is_eager=True,
        callback=take_places,
    ),
]
