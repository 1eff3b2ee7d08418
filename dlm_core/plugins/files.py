"""Plugins in files and folders, run as Python runs them. Light: imports no torch."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.metadata import EntryPoint
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from dlm_core.errors import MissingError
from dlm_core.plugins.registry import Origin, source_of

GROUP = "dlm"
Source = tuple[Origin, Callable[[], Any]]
"""A plugin, and what imports it."""


def at_path(path: Path) -> list[Source]:
    """The plugin in a Python file or a package's folder, or those of a distribution's folder.

    Raises:
        MissingError: a folder that is neither.
    """
    path = path.expanduser()
    if path.name == "__init__.py":
        path = path.parent
    if (path / "pyproject.toml").is_file():
        return _distribution(path)
    if path.is_dir() and not (path / "__init__.py").is_file():
        raise MissingError(
            f"{path} is not the folder of a plugin: it has neither a pyproject.toml nor an "
            "__init__.py",
            "dlm plugins new NAME writes a folder that is one",
        )
    where = path.resolve()
    origin = Origin(where.stem, str(path), "", str(path), installed=False, path=str(where))
    return [(origin, _package_loader(path) if path.is_dir() else _file_loader(path))]


def _distribution(path: Path) -> list[Source]:
    try:
        project = tomllib.loads((path / "pyproject.toml").read_text("utf-8"))["project"]
        name, version = project["name"], project.get("version", "")
        found = project["entry-points"][GROUP].items()
        entries = [EntryPoint(entry, value, GROUP) for entry, value in found]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise MissingError(
            f"{path} is not the folder of a plugin: its pyproject.toml has no "
            f"[project.entry-points.{GROUP}] ({type(error).__name__}: {error})",
            "dlm plugins new NAME writes a folder that is one",
        ) from error
    source, where = path / "src" if (path / "src").is_dir() else path, str(path.resolve())
    return [
        (Origin(e.name, name, version, e.value, False, where), _entry_loader(source, e))
        for e in entries
    ]


def _entry_loader(source: Path, entry: EntryPoint) -> Callable[[], Any]:
    def load() -> Any:
        _importable_from(source)
        return entry.load()

    return load


def _file_loader(path: Path) -> Callable[[], ModuleType]:
    """As `python FILE`: whatever its name ends with, and with what lies beside it in reach."""

    def load() -> ModuleType:
        _importable_from(path.parent)
        name = _free_name(f"dlm_plugin_file_{path.stem}", path)
        if spec := spec_from_file_location(name, path):
            return _run(spec)
        loader = SourceFileLoader(name, str(path))  # of a file without .py
        return _run(spec_from_file_location(name, path, loader=loader))

    return load


def _package_loader(path: Path) -> Callable[[], ModuleType]:
    """As `import FOLDER` from the folder above it."""

    def load() -> ModuleType:
        _importable_from(path.resolve().parent)
        file = path.resolve() / "__init__.py"
        name = path.resolve().name
        there = sys.modules.get(name)
        if there is not None and source_of(there) == file:
            return there
        if there is not None or not name.isidentifier():
            name = _free_name(f"dlm_plugin_file_{name}", file)
        inside = [str(file.parent)]
        return _run(spec_from_file_location(name, file, submodule_search_locations=inside))

    return load


def _run(spec: ModuleSpec | None) -> ModuleType:
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(spec.name, None)
        raise
    return module


def _free_name(name: str, file: Path) -> str:
    """Two files of one name are two modules; one that is read again takes its own place."""
    name = name.replace(".", "_")
    there = sys.modules.get(name)
    free = there is None or source_of(there) == file.resolve()
    return name if free else _free_name(f"{name}_", file)


def _importable_from(folder: Path) -> None:
    if (entry := str(folder.resolve())) not in sys.path:
        sys.path.insert(0, entry)
