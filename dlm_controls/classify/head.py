"""A classifier's folder: config.json and what it must hold. Light: imports no torch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlm_core import heads
from dlm_core.commands import command
from dlm_core.errors import MissingError

if TYPE_CHECKING:
    from dlm_core.bundle import ModelInfo


def digest(info: ModelInfo) -> str:
    """Names a model's list of words."""
    return hashlib.sha256("\n".join(info.vocab.words).encode()).hexdigest()[:16]


def train_command(info: ModelInfo, name: str) -> str:
    """What to type for a classifier: NAME of the model's own, or a folder."""
    if "/" not in name:
        return info.train_command("classify", name)
    data = ("--data", "labelled.jsonl", "--out", name)
    return command("train", "control", "classify", "--model", info.name or info.path, *data)


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a classifier.

    Raises:
        MissingError: it is missing, may not be read, or is none of a classifier.
    """
    config = heads.read_config(folder)
    if not {"labels", "vocabulary", "reader", "judge"} <= set(config):
        raise MissingError(f"{folder / 'config.json'}: not the head of a classifier")
    heads.read_labels(folder)
    return config
