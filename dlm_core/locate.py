"""Where a model lies: with the package, in a folder, or on the hub. Light: imports no torch."""

from __future__ import annotations

import os
from pathlib import Path

from dlm_core.commands import command
from dlm_core.errors import MissingError, UsageError, did_you_mean
from dlm_core.hub import fetch, split_id

EMBEDDED = Path(__file__).parent / "models"


def embedded_names() -> list[str]:
    """Names of the models that ship with the package."""
    return sorted(p.parent.name for p in EMBEDDED.glob("*/config.json"))


def shadowed(name: str) -> str | None:
    """What to say where a folder has the name of a model that ships, which goes first."""
    if name in embedded_names() and Path(name).is_dir():
        return f"'{name}' is the model that ships with dlm; the folder of that name is ./{name}"
    return None


def locate(name: str | os.PathLike[str]) -> Path:
    """The folder of a model given by embedded name, path, or hub id (`owner/name[@revision]`).

    Raises:
        UsageError: neither a string nor a path.
        MissingError: there is no such model, or the hub cannot be reached.
    """
    named = os.fspath(name) if isinstance(name, os.PathLike) else name
    if not isinstance(named, str):
        raise UsageError(
            f"model: expected a name or a path, got {name!r}", "for example 'e2e' or Path('mine')"
        )
    name = named
    if name in embedded_names():
        return EMBEDDED / name
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.is_file() and path.name in ("config.json", "tokenizer.json", "model.safetensors"):
        raise MissingError(
            f"model '{name}': a file; a model is its folder", command("models", "show", path.parent)
        )
    if (found := split_id(name)) is not None:
        return fetch(*found)
    raise MissingError(
        f"model '{name}': no such model or folder", did_you_mean(name, embedded_names())
    )
