"""What holds where a command says nothing: option, else environment, else file, else default."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_config_path
from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from dlm_cli.words import in_words
from dlm_core.config import load_toml
from dlm_core.errors import UsageError, did_you_mean

_typed: dict[str, Any] = {}
"""Options that stand before the command."""


def _seed(value: Any) -> str:
    seed = str(value)
    if seed != "random" and not seed.lstrip("-").isdigit():
        raise ValueError(f"must be an integer or 'random', not '{seed}'")
    return seed


class Settings(BaseSettings):
    """The settings there are; each is a key of the file, and a variable with DLM_ before it."""

    model_config = SettingsConfigDict(env_prefix="DLM_", env_ignore_empty=True, extra="forbid")

    model: str = "e2e"
    seed: Annotated[str, BeforeValidator(_seed)] = "0"
    threads: int | None = Field(default=None, ge=1)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Those of `_sources`, first come."""
        return tuple(_sources().values())


def settings_file() -> Path | None:
    """Where the file of settings is, or would be; None if DLM_SETTINGS is `off` or empty."""
    named = os.environ.get("DLM_SETTINGS")
    if named is not None:
        return None if named.strip() in ("", "off") else Path(named).expanduser()
    return user_config_path("dlm", appauthor=False) / "settings.toml"


def _sources() -> dict[str, PydanticBaseSettingsSource]:
    path = settings_file()
    there = path is not None and (path.exists() or "DLM_SETTINGS" in os.environ)
    init = partial(InitSettingsSource, Settings)
    return {
        "option": init(dict(_typed)),
        "environment": EnvSettingsSource(Settings),
        "file": init(load_toml(path) if path is not None and there else {}),
    }


def origins() -> dict[str, str]:
    """Where the value of each setting comes from: option, environment, file or default."""
    given = {name: source() for name, source in _sources().items()}
    return {
        key: next((name for name, values in given.items() if key in values), "default")
        for key in Settings.model_fields
    }


def settings() -> Settings:
    """What is set.

    Raises:
        UsageError: a value that cannot be, or an unknown key of the file; its place is named.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        file = f"{settings_file()}, key '{key}'"
        if first["type"] == "extra_forbidden":
            raise UsageError(
                f"{file}: unknown", did_you_mean(key, Settings.model_fields)
            ) from error
        variable, option = f"DLM_{key.upper()}", f"option '--{key.replace('_', '-')}'"
        place = {"option": option, "environment": variable}.get(origins()[key], file)
        raise UsageError(f"{place}: {in_words(first)}") from error


def take_options(threads: int | None, log_level: str | None) -> Settings:
    """Take what stands before the command, for this process; None where an option does not."""
    given = {"threads": threads, "log_level": log_level}
    _typed.clear()
    _typed.update({key: value for key, value in given.items() if value is not None})
    return settings()
