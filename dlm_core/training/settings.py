"""Settings of a training that begins with a model or a checkpoint: what is given goes first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlm_core.bundle import ModelInfo


def shape_of(model: ModelInfo) -> dict[str, Any]:
    """The tables `model` and `text` of a run that begins with its weights."""
    return {"model": model.config.model_dump(mode="json"), "text": model.text.model_dump()}


def laid_over(given: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of `given`, and of tables in it, in place of those of `base`."""
    tables = {
        key: {**base[key], **value}
        for key, value in given.items()
        if isinstance(value, dict) and isinstance(base.get(key), dict)
    }
    return {**base, **given, **tables}
