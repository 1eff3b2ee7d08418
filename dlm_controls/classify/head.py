"""A classifier's folder: config.json and what it must hold. Light: imports no torch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlm_core.errors import MissingError

if TYPE_CHECKING:
    from dlm_core.bundle import ModelInfo

TRAIN = "dlm train control classify --data labelled.jsonl --name NAME"


def digest(info: ModelInfo) -> str:
    """Names a model's list of words."""
    return hashlib.sha256("\n".join(info.vocab.words).encode()).hexdigest()[:16]


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a classifier.

    Raises:
        MissingError: it is missing, or none of a classifier.
    """
    path = folder / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not {"labels", "vocabulary", "reader", "judge"} <= set(config):
            raise ValueError("not the head of a classifier")
    except (OSError, ValueError) as error:
        raise MissingError(f"{path}: {error}", TRAIN) from error
    return config
