"""Finding plugins and loading each in its own try. Light: imports no torch.

One that fails is named with its distribution, version and stage, and stops nothing but itself.

    DLM_PLUGINS=off            built-ins only; so does an empty value
    DLM_PLUGINS=diverse,./x.py built-ins and these: entry points, distributions, files, modules
    DLM_STRICT_PLUGINS=1       a failure raises, with its traceback
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tomllib
from collections.abc import Callable, Collection, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from dlm_core.errors import MissingError, did_you_mean
from dlm_core.plugins import hooks as hookspecs
from dlm_core.plugins.registry import Origin, Plugins, Staged, key

GROUP = "dlm"
_Source = tuple[Origin, Callable[[], Any]]
"""A plugin, and what imports it."""


def load_plugins(
    files: Sequence[Path] = (),
    *,
    chosen: Collection[str] | None = None,
    strict: bool | None = None,
) -> Plugins:
    """Load the built-ins, every installed plugin, and `files` (`--plugin ./mine.py`).

    Args:
        files: Python files, or folders of distributions that need not be installed.
        chosen: load these beside the built-ins, in place of all that are installed: names of entry
            points or distributions, files, folders, modules. By default what DLM_PLUGINS says.
        strict: a failure raises. By default if DLM_STRICT_PLUGINS is 1.

    Raises:
        PluginError: a plugin failed, in strict mode; chained to the cause.
        MissingError: one of `files` does not exist, or is a folder without a plugin.
    """
    if strict is None:
        strict = os.environ.get("DLM_STRICT_PLUGINS") == "1"
    if chosen is None and (value := os.environ.get("DLM_PLUGINS")) is not None:
        chosen = [] if value.strip() == "off" else [n.strip() for n in value.split(",")]
    plugins = Plugins(strict=strict)
    plugins.manager.add_hookspecs(hookspecs)
    installed = _installed()
    sources = [
        source
        for source in installed
        if chosen is None or source[0].builtin or any(map(source[0].called, chosen))
    ]
    for name in filter(None, chosen or ()):
        if not any(origin.called(name) for origin, _ in installed):
            try:
                sources += _at(name, [origin.name for origin, _ in installed])
            except MissingError as error:
                plugins.fail(Origin(name, name, "", name, installed=False), "import", error)
    for path in files:
        if not path.exists():
            raise MissingError(f"option '--plugin': no file {path}")
        sources += _at_path(path)
    for origin, load in sources:
        _load_one(plugins, origin, load)
    return plugins


def _installed() -> list[_Source]:
    """Every entry point of the group, the built-ins first."""
    found: dict[tuple[str, str], _Source] = {}
    for entry in entry_points(group=GROUP):
        distribution = (entry.dist.name, entry.dist.version) if entry.dist else ("?", "")
        origin = Origin(entry.name, *distribution, entry.value)
        # An editable install beside a checkout lists the same entry point twice.
        found.setdefault((entry.name, entry.value), (origin, entry.load))
    return sorted(found.values(), key=lambda s: (not s[0].builtin, s[0].distribution, s[0].name))


def _at(name: str, known: Sequence[str]) -> list[_Source]:
    """A file, folder or module that is no installed plugin."""
    path = Path(name).expanduser()
    if path.exists() or path.suffix == ".py" or path.name != name:
        return _at_path(path)
    package = name.partition(".")[0]
    if not package or importlib.util.find_spec(package) is None:
        hint = did_you_mean(name, known)
        raise MissingError(f"no plugin or module is called '{name}'; {hint}")
    origin = Origin(name, name, "", name, installed=False)
    return [(origin, EntryPoint(name, name, GROUP).load)]


def _at_path(path: Path) -> list[_Source]:
    """The plugin in a Python file, or those of a distribution's folder."""
    if not path.is_dir():
        origin = Origin(path.stem, str(path), "", str(path), installed=False)
        return [(origin, _file_loader(path))]
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
    source = path / "src" if (path / "src").is_dir() else path
    if str(source.resolve()) not in sys.path:
        sys.path.insert(0, str(source.resolve()))
    return [(Origin(e.name, name, version, e.value, installed=False), e.load) for e in entries]


def _file_loader(path: Path) -> Callable[[], Any]:
    def load() -> Any:
        name = f"dlm_plugin_file_{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    return load


def _load_one(plugins: Plugins, origin: Origin, load: Callable[[], Any]) -> None:
    stage = "import"
    plugin = None
    try:
        loaded = load()
        stage = "register"
        if plugins.manager.is_registered(loaded):
            raise ValueError(f"{loaded!r} is already loaded under another name")
        hookspecs.check_hooks(loaded, plugins.manager)
        plugin = loaded
        plugins.manager.register(plugin, name=key(origin))
        staged = Staged(plugins)
        plugins.call("dlm_register_controls", origin, register=staged.control)
        plugins.call("dlm_register_selectors", origin, register=staged.selector)
        plugins.call("dlm_register_corpora", origin, register=staged.corpus)
        staged.commit(origin)
        plugins.loaded.append(origin)
    except (Exception, SystemExit) as error:
        if plugin is not None and plugins.manager.is_registered(plugin):
            plugins.manager.unregister(plugin)
        plugins.fail(origin, stage, error)
