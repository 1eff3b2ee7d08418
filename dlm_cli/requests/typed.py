"""A recipe as the command that one types."""

from __future__ import annotations

import shlex
from typing import Any

from dlm_cli.requests.recipes import FLAGS, Recipe

_NAMES = FLAGS | {"controls": "control", "plugins": "plugin", "heads": "head"}


def typed(asked: Recipe) -> str:
    """`dlm generate` with every option that is not as usual; n and seed always."""
    usual = _options(Recipe())
    words = ["dlm", "generate", "-n", str(asked.n), "--seed", str(asked.seed)]
    for name, value in _options(asked).items():
        flag = name.replace("_", "-")
        if name in ("n", "seed") or value == usual[name]:
            continue
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            for one in value if isinstance(value, tuple) else (value,):
                words += [f"--{flag}", str(one)]
    return shlex.join(words)


def typed_again(asked: Recipe, seed: int) -> str:
    """The command for one text of it, whatever was chosen among others or tried before."""
    alone: dict[str, Any] = {"n": 1, "seed": seed, "select": None, "keep": None}
    return typed(asked.model_copy(update={**alone, "until_satisfied": 0}))


def _options(asked: Recipe) -> dict[str, Any]:
    """Every key by the name of its option."""
    keys = asked.model_dump()
    settings = keys.pop("sampling") | keys.pop("guidance")
    return {_NAMES.get(name, name): value for name, value in (keys | settings).items()}
