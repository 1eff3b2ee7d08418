"""Recipes: what `dlm generate` is asked, as a TOML or JSON file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import typer
from pydantic import BeforeValidator, Field, ValidationError

from dlm_cli.requests.objects import spec_of
from dlm_cli.words import in_words
from dlm_core.config import GuidanceConfig, SamplingConfig, Settings, load_toml
from dlm_core.errors import MissingError, UsageError, did_you_mean
from dlm_core.text import load_json, read_text

_S = TypeVar("_S", bound=Settings)
FLAGS = {"mode": "guidance", "optimizer": "guidance_optimizer"}
"""Settings whose option has another name."""
MAX_CONTROLS = 100
MAX_TRIES = 1000


def _integer(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise ValueError(f"must be an integer, not {json.dumps(value)[:40]}")
    return value


Integer = Annotated[int, BeforeValidator(_integer)]
Names = Annotated[
    tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
]
"""Names; one may stand alone."""
Controls = Annotated[
    tuple[Annotated[str, BeforeValidator(spec_of)], ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str | dict) else value),
]
"""Specs, or the objects that stand for them; one may stand alone."""


class WrongKeyError(UsageError):
    """A key of a recipe or a request is unknown, or has a value that cannot be."""

    def __init__(self, message: str, key: str, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.key = key


class Recipe(Settings):
    """The keys of a recipe; a key that is left out has the option's default."""

    model: str = "e2e"
    controls: Controls = ()
    n: Integer = Field(default=4, ge=1)
    seed: Integer = 0
    select: str | None = None
    keep: Integer | None = Field(default=None, ge=1)
    until_satisfied: Integer = Field(default=0, ge=0, le=MAX_TRIES)
    """How often a text that a control does not hold of is made again."""
    verify: bool = True
    plugins: Names = ()
    heads: Names = ()
    """KIND=DIR, of heads that do not lie in the model."""
    sampling: SamplingConfig = SamplingConfig()
    guidance: GuidanceConfig = GuidanceConfig()

    def options(self) -> dict[str, Any]:
        """The keys that were given, as parameters of `dlm generate`."""
        given = self.model_dump(mode="json", exclude_unset=True)
        settings = given.pop("sampling", {}) | given.pop("guidance", {})
        given |= {FLAGS.get(name, name): value for name, value in settings.items()}
        names = {"controls": "control", "plugins": "plugin", "heads": "head"}
        options = {names.get(name, name): value for name, value in given.items()}
        return options | ({"seed": str(self.seed)} if "seed" in options else {})

    def anywhere(self) -> Recipe:
        """The same with whole paths: it means the same in whatever folder it is saved."""
        from dlm_core.bundle import embedded_names

        model = os.path.expanduser(self.model)
        here = self.model not in embedded_names() and os.path.isdir(model)
        plugins = tuple(os.path.abspath(name) for name in self.plugins)
        heads = tuple(_moved(head, os.path.abspath) for head in self.heads)
        update: dict[str, Any] = {"plugins": plugins, "heads": heads}
        update["model"] = os.path.abspath(model) if here else self.model
        return self.model_copy(update=update)

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

    `model`, `plugins` and `heads` that are paths are taken from the recipe's folder.

    Raises:
        MissingError: the file, or one that it names, is not there.
        UsageError: it cannot be read, or a key is unknown or wrong; file and key are named.
    """
    data = _load_json(path) if path.suffix.lower() == ".json" else load_toml(path)
    recipe = validate(Recipe, data, str(path))
    found: dict[str, Any] = {}
    if "model" in data:
        found["model"] = _find_model(recipe.model, path)
    if "plugins" in data:
        found["plugins"] = tuple(_find_plugin(name, path) for name in recipe.plugins)
    if "heads" in data:
        found["heads"] = tuple(
            _moved(h, lambda name: str(_beside(name, path))) for h in recipe.heads
        )
    return recipe.model_copy(update=found)


def _moved(head: str, move: Callable[[str], str]) -> str:
    """KIND=DIR with another DIR."""
    kind, separator, folder = head.partition("=")
    return f"{kind}={move(folder)}" if separator else head


def _beside(name: str, recipe: Path) -> Path:
    return recipe.parent / os.path.expanduser(name)


def _find_model(name: str, recipe: Path) -> str:
    from dlm_core.bundle import embedded_names

    there = _beside(name, recipe)
    if name in embedded_names():
        return name
    if there.exists():
        return str(there)
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):  # of the hub
        return name
    raise MissingError(
        f"{recipe}, key 'model': no model or folder '{name}' (looked for {there})",
        "a path is relative to the recipe; " + did_you_mean(name, embedded_names()),
    )


def _find_plugin(name: str, recipe: Path) -> str:
    there = _beside(name, recipe)
    if not there.exists():
        raise MissingError(
            f"{recipe}, key 'plugins': no file '{name}' (looked for {there})",
            "a path is relative to the recipe",
        )
    return str(there)


def validate(cls: type[_S], data: dict[str, Any], where: str) -> _S:
    """`cls` from `data`; the hint for an unknown key is the nearest of its own table.

    Raises:
        WrongKeyError: names `where`, the key and the nearest valid key.
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
            raise WrongKeyError(f"{where}: unknown key '{key[:80]}'", key, hint) from error
        message = f"{where}, key '{key[:80]}': {in_words(first)}"
        raise WrongKeyError(message, key) from error


def _load_json(path: Path) -> dict[str, Any]:
    try:
        data = load_json(read_text(path))
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    if not isinstance(data, dict):
        raise UsageError(f"{path}: expected a JSON object")
    return cast(dict[str, Any], data)


def take_recipe(context: typer.Context, path: Path | None) -> Path | None:
    """Callback of `--recipe`: its keys become the defaults of the options not given."""
    if path is not None and not context.resilient_parsing:
        path = Path(os.path.expanduser(path))
        context.obj = recipe = read_recipe(path)
        context.default_map = recipe.options()
    return path
