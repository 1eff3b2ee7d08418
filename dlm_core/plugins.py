"""Finding plugins and loading each in its own try. Light: imports no torch.

One that fails is named with its distribution, version and stage, and stops nothing but itself.

    DLM_PLUGINS=""            built-ins only
    DLM_PLUGINS=keyword,mine  built-ins and these entry points
    DLM_STRICT_PLUGINS=1      a failure raises, with its traceback
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pluggy

from dlm_core import hookspecs
from dlm_core.corpora import READERS, CorpusReader
from dlm_core.errors import MissingError, PluginError
from dlm_core.selection import SelectorSpec
from dlm_core.spec import ControlSpec

GROUP = "dlm"
BUILTIN = "dlm"


@dataclass(frozen=True)
class Origin:
    """Who provides something: entry point, distribution and version."""

    name: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".strip()

    @property
    def builtin(self) -> bool:
        """Part of dlm itself."""
        return self.distribution == BUILTIN


@dataclass(frozen=True)
class Failure:
    """A plugin that was skipped, and why."""

    origin: Origin
    stage: str
    error: str

    def __str__(self) -> str:
        return f"plugin '{self.origin.name}' ({self.origin}) skipped at {self.stage}: {self.error}"

    @property
    def hint(self) -> str:
        """How to be rid of it."""
        if not self.origin.version:
            return "mend the file, or leave the option out"
        return f"pip uninstall {self.origin.distribution}, or DLM_PLUGINS without it"


@dataclass
class Plugins:
    """Everything the installed plugins offer."""

    controls: dict[str, type[ControlSpec]] = field(default_factory=dict)
    selectors: dict[str, type[SelectorSpec]] = field(default_factory=dict)
    corpora: dict[str, CorpusReader] = field(default_factory=lambda: dict(READERS))
    origins: dict[tuple[str, str], Origin] = field(default_factory=dict)
    """(what, kind) -> who; `what` is control, selector or corpus."""
    loaded: list[Origin] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    manager: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager("dlm"))

    def origin(self, what: str, kind: str) -> str:
        """The distribution and version that provide a control, selector or corpus."""
        found = self.origins.get((what, kind))
        return str(found) if found is not None else ""


class _Staged:
    """What one plugin registers; committed only if all of it is well."""

    def __init__(self, plugins: Plugins) -> None:
        self.plugins = plugins
        self.controls: dict[str, type[ControlSpec]] = {}
        self.selectors: dict[str, type[SelectorSpec]] = {}
        self.corpora: dict[str, CorpusReader] = {}

    def _claim(self, what: str, kind: str, taken: dict[str, Any], staged: dict[str, Any]) -> None:
        if not kind or not isinstance(kind, str):
            raise ValueError(f"a {what} must have a name ('kind')")
        if kind in taken:
            owner = self.plugins.origin(what, kind) or "dlm itself"
            raise ValueError(f"{what} '{kind}' is already provided by {owner}")
        if kind in staged:
            raise ValueError(f"{what} '{kind}' is registered twice")

    def control(self, spec: type[ControlSpec]) -> None:
        if not (isinstance(spec, type) and issubclass(spec, ControlSpec)):
            raise TypeError(f"expected a subclass of ControlSpec, got {spec!r}")
        self._claim("control", spec.kind, self.plugins.controls, self.controls)
        self.controls[spec.kind] = spec

    def selector(self, spec: type[SelectorSpec]) -> None:
        if not (isinstance(spec, type) and issubclass(spec, SelectorSpec)):
            raise TypeError(f"expected a subclass of SelectorSpec, got {spec!r}")
        self._claim("selector", spec.kind, self.plugins.selectors, self.selectors)
        self.selectors[spec.kind] = spec

    def corpus(self, name: str, reader: CorpusReader) -> None:
        if not callable(reader):
            raise TypeError(f"corpus reader '{name}' is not callable")
        self._claim("corpus", name, self.plugins.corpora, self.corpora)
        self.corpora[name] = reader

    def commit(self, origin: Origin) -> None:
        for what in ("controls", "selectors", "corpora"):
            staged = getattr(self, what)
            getattr(self.plugins, what).update(staged)
            singular = {"corpora": "corpus"}.get(what, what[:-1])
            self.plugins.origins.update({(singular, kind): origin for kind in staged})


def _origin(entry: EntryPoint) -> Origin:
    if entry.dist is None:
        return Origin(entry.name, "?", "")
    return Origin(entry.name, entry.dist.name, entry.dist.version)


def _wanted() -> Callable[[Origin], bool]:
    names = os.environ.get("DLM_PLUGINS")
    if names is None:
        return lambda origin: True
    chosen = {n.strip() for n in names.split(",") if n.strip()}
    return lambda origin: origin.builtin or origin.name in chosen


def load_plugins(files: Sequence[Path] = ()) -> Plugins:
    """Load the built-ins, every installed plugin, and plugin `files` (`--plugin ./mine.py`).

    Raises:
        PluginError: only with DLM_STRICT_PLUGINS=1, chained to the cause.
        MissingError: a file of `files` does not exist.
    """
    plugins = Plugins()
    plugins.manager.add_hookspecs(hookspecs)
    wanted = _wanted()
    seen: set[tuple[str, str]] = set()
    found = []
    for entry in entry_points(group=GROUP):
        origin = _origin(entry)
        # An editable install beside a checkout lists the same entry point twice.
        if wanted(origin) and (entry.name, entry.value) not in seen:
            seen.add((entry.name, entry.value))
            found.append((origin, entry.load))
    found.sort(key=lambda item: (not item[0].builtin, item[0].distribution, item[0].name))
    for path in files:
        if not path.is_file():
            raise MissingError(f"option '--plugin': no file {path}")
        found.append((Origin(path.stem, str(path), ""), _file_loader(path)))
    for origin, load in found:
        _load_one(plugins, origin, load)
    return plugins


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
        plugin = loaded
        plugins.manager.register(plugin, name=f"{origin.distribution}:{origin.name}")
        others = [p for p in plugins.manager.get_plugins() if p is not plugin]
        staged = _Staged(plugins)
        for hook, register in (
            ("dlm_register_controls", staged.control),
            ("dlm_register_selectors", staged.selector),
            ("dlm_register_corpora", staged.corpus),
        ):
            plugins.manager.subset_hook_caller(hook, others)(register=register)
        staged.commit(origin)
        plugins.loaded.append(origin)
    except (Exception, SystemExit) as error:
        if plugin is not None and plugins.manager.is_registered(plugin):
            plugins.manager.unregister(plugin)
        failure = Failure(origin, stage, f"{type(error).__name__}: {error}")
        plugins.failures.append(failure)
        if os.environ.get("DLM_STRICT_PLUGINS") == "1":
            raise PluginError(str(failure), failure.hint) from error
