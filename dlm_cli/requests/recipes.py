"""Recipes: what `dlm generate` is asked, as a TOML or JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import typer
from pydantic import Field, ValidationError

from dlm_core.config import GuidanceConfig, SamplingConfig, Settings, load_toml
from dlm_core.errors import MissingError, UsageError, did_you_mean

_S = TypeVar("_S", bound=Settings)
FLAGS = {"mode": "guidance", "optimizer": "guidance_optimizer"}
"""Settings whose option has another name."""


class Recipe(Settings):
    """The keys of a recipe; a key that is left out has the option's default."""

    model: str = "e2e"
    controls: tuple[str, ...] = ()
    n: int = Field(default=4, ge=1)
    seed: int = 0
    select: str | None = None
    keep: int | None = Field(default=None, ge=1)
    verify: bool = True
    plugins: tuple[str, ...] = ()
    sampling: SamplingConfig = SamplingConfig()
    guidance: GuidanceConfig = GuidanceConfig()

    def options(self) -> dict[str, Any]:
        """The keys that were given, as parameters of `dlm generate`."""
        given = self.model_dump(mode="json", exclude_unset=True)
        settings = given.pop("sampling", {}) | given.pop("guidance", {})
        given |= {FLAGS.get(name, name): value for name, value in settings.items()}
        names = {"controls": "control", "plugins": "plugin"}
        options = {names.get(name, name): value for name, value in given.items()}
        return options | ({"seed": str(self.seed)} if "seed" in options else {})

    def toml(self) -> str:
        """Every key with its value; reading it gives an equal recipe."""
        tables = self.model_dump(mode="json", exclude_none=True)
        sampling, guidance = tables.pop("sampling"), tables.pop("guidance")
        lines = [*_lines(tables), "", "[sampling]", *_lines(sampling)]
        return "\n".join([*lines, "", "[guidance]", *_lines(guidance), ""])


def _lines(table: dict[str, Any]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in table.items()]


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return (
            "[" + "".join(f"\n  {_toml(item)}," for item in value) + ("\n" if value else "") + "]"
        )
    if isinstance(value, float):
        return repr(value)
    # a JSON string, number or boolean is TOML's, but for DEL, which TOML wants escaped
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def read_recipe(path: Path) -> Recipe:
    """Read a recipe: JSON if the file's name ends so, TOML otherwise.

    Raises:
        MissingError: the file cannot be opened.
        UsageError: it cannot be read, or a key is unknown or wrong; file and key are named.
    """
    data = _load_json(path) if path.suffix == ".json" else load_toml(path)
    return validate(Recipe, data, str(path))


def validate(cls: type[_S], data: dict[str, Any], where: str) -> _S:
    """`cls` from `data`; the hint for an unknown key is the nearest of its own table.

    Raises:
        UsageError: names `where`, the key and the nearest valid key.
    """
    try:
        return cls.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        *outer, name = first["loc"] or ("(all)",)
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            table: Any = cls
            for part in outer:
                table = table.model_fields[part].annotation
            hint = did_you_mean(str(name), table.model_fields)
            raise UsageError(f"{where}: unknown key '{key}'", hint) from error
        message = (
            first["msg"]
            .replace("Input should be", "must be")
            .replace("Field required", "is missing")
        )
        raise UsageError(f"{where}, key '{key}': {message}") from error


def _load_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"{path}: not JSON: {error}") from error
    if not isinstance(data, dict):
        raise UsageError(f"{path}: expected a JSON object")
    return data


def take_recipe(context: typer.Context, path: Path | None) -> Path | None:
    """Callback of `--recipe`: its keys become the defaults of the options not given."""
    if path is not None and not context.resilient_parsing:
        context.obj = recipe = read_recipe(path)
        context.default_map = recipe.options()
    return path
