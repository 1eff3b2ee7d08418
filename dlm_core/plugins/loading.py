"""Finding plugins and loading each in its own try. Light: imports no torch.

One that fails is named with its distribution, version and stage, and stops nothing but itself.

    DLM_PLUGINS=off            built-ins only; so does an empty value
    DLM_PLUGINS=diverse,./x.py built-ins and these: entry points, distributions, files, modules
    DLM_STRICT_PLUGINS=1       a failure raises, with its traceback
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Collection, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from dlm_core.calling import printing_aside
from dlm_core.errors import MissingError, did_you_mean
from dlm_core.plugins import hooks as hookspecs
from dlm_core.plugins.files import GROUP, Source, at_path
from dlm_core.plugins.registry import Origin, Plugins, Staged, key


def load_plugins(
    files: Sequence[Path] = (),
    *,
    chosen: Collection[str] | None = None,
    strict: bool | None = None,
) -> Plugins:
    """Load the built-ins, every installed plugin, and `files` (`--plugin ./mine.py`).

    Args:
        files: Python files, and folders of packages or distributions that need not be installed.
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
        if not path.expanduser().exists():
            raise MissingError(f"option '--plugin': no file {path}")
        sources += at_path(path)
    for number, (origin, load) in enumerate(sources):
        twice = any(origin.same(earlier) for earlier, _ in sources[:number])
        if not twice and not plugins.has_file(origin):
            _load_one(plugins, origin, load)
    return plugins


def _installed() -> list[Source]:
    """Every entry point of the group, the built-ins first."""
    found: dict[tuple[str, str], Source] = {}
    for entry in entry_points(group=GROUP):
        distribution = (entry.dist.name, entry.dist.version) if entry.dist else ("?", "")
        origin = Origin(entry.name, *distribution, entry.value)
        # An editable install beside a checkout lists the same entry point twice.
        found.setdefault((entry.name, entry.value), (origin, entry.load))
    return sorted(found.values(), key=lambda s: (not s[0].builtin, s[0].distribution, s[0].name))


def _at(name: str, known: Sequence[str]) -> list[Source]:
    """A file, folder or module that is no installed plugin."""
    path = Path(name).expanduser()
    if path.exists() or path.suffix == ".py" or path.name != name:
        return at_path(path)
    package = name.partition(".")[0]
    if not package or importlib.util.find_spec(package) is None:
        hint = did_you_mean(name, known)
        raise MissingError(f"no plugin or module is called '{name}'; {hint}")
    origin = Origin(name, name, "", name, installed=False)
    return [(origin, EntryPoint(name, name, GROUP).load)]


def _load_one(plugins: Plugins, origin: Origin, load: Callable[[], Any]) -> None:
    stage = "import"
    plugin = None
    try:
        with printing_aside():
            loaded = load()
            stage = "register"
            if plugins.already(origin, loaded):
                return
            hookspecs.check_hooks(loaded, plugins.manager)
            plugin = loaded
            plugins.manager.register(plugin, name=key(origin))
            staged = Staged(plugins)
            plugins.call("dlm_register_controls", origin, register=staged.control)
            plugins.call("dlm_register_selectors", origin, register=staged.selector)
            plugins.call("dlm_register_corpora", origin, register=staged.corpus)
            staged.commit(origin)
            plugins.loaded.append(origin)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        if plugin is not None and plugins.manager.is_registered(plugin):
            plugins.manager.unregister(plugin)
        plugins.fail(origin, stage, error)
