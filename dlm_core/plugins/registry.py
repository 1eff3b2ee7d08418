"""What plugins offer, and who offers it. Light: imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from dlm_core.calling import describe, set_owner
from dlm_core.control.compose import ControlSpec
from dlm_core.corpora import READERS, CorpusReader
from dlm_core.errors import PluginError
from dlm_core.selection import SelectorSpec

BUILTIN = "dlm"


@dataclass(frozen=True)
class Origin:
    """Who provides something: entry point, distribution and version.

    Attributes:
        name: of the entry point; of a file, its stem.
        distribution: as pip knows it; the path of a file that stands alone.
        version: empty where there is none.
        module: what is imported, or the path of a file.
        installed: by pip, as opposed to a file or folder named by the user.
        path: that file or folder, with links resolved; empty if it is none.
    """

    name: str
    distribution: str
    version: str
    module: str = ""
    installed: bool = True
    path: str = ""

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".strip()

    @property
    def builtin(self) -> bool:
        """Part of dlm itself."""
        return self.distribution == BUILTIN

    @property
    def alone(self) -> bool:
        """A file or module that belongs to no distribution."""
        return self.distribution == self.module

    def same(self, other: Origin) -> bool:
        """The same plugin, whichever way the user came to it."""
        if self.path and other.path:
            return (self.name, self.path) == (other.name, other.path)
        return (self.name, str(self), self.module) == (other.name, str(other), other.module)

    def called(self, name: str) -> bool:
        """The user may mean it by `name`: its entry point or its distribution."""
        return name in (self.name, self.distribution)


@dataclass(frozen=True)
class Failure:
    """A plugin that was skipped, and why; `stage` is import, register or commands."""

    origin: Origin
    stage: str
    error: str

    def __str__(self) -> str:
        return f"plugin '{self.origin.name}' ({self.origin}) skipped at {self.stage}: {self.error}"

    @property
    def hint(self) -> str:
        """How to be rid of it."""
        if not self.origin.installed:
            return "mend it, or leave it out of --plugin and DLM_PLUGINS"
        return f"pip uninstall {self.origin.distribution}, or DLM_PLUGINS without it"


@dataclass
class Plugins:
    """Everything the installed plugins offer."""

    controls: dict[str, type[ControlSpec]] = field(default_factory=dict)
    selectors: dict[str, type[SelectorSpec]] = field(default_factory=dict)
    corpora: dict[str, CorpusReader] = field(default_factory=lambda: dict(READERS))
    origins: dict[tuple[str, str], Origin] = field(default_factory=dict)
    """(what, kind) -> who; `what` is control, selector, corpus or command."""
    loaded: list[Origin] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    files: dict[Origin, Path] = field(default_factory=dict)
    """The module that each of those loaded is."""
    strict: bool = False
    """A failure raises."""
    manager: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager("dlm"))

    def origin(self, what: str, kind: str) -> str:
        """The distribution and version that provide a control, selector or corpus."""
        found = self.origins.get((what, kind))
        return str(found) if found is not None else ""

    def has_file(self, origin: Origin) -> bool:
        """The file of this plugin was loaded as part of another, an installed one say."""
        loaded = {self.files.get(other) for other in self.loaded}
        path = Path(origin.path)
        return bool(origin.path) and not loaded.isdisjoint((path, path / "__init__.py"))

    def already(self, origin: Origin, loaded: object) -> bool:
        """What was imported is a plugin that is loaded, whatever it was called then.

        Raises:
            ValueError: it belongs to another distribution; or another has the name of this one.
        """
        file, name = source_of(loaded), self.manager.get_name(loaded)
        for other in self.loaded:
            if key(other) == name or (file is not None and self.files.get(other) == file):
                break
            if key(other) == key(origin):
                raise ValueError(f"another '{origin.name}' of {other} is already loaded")
        else:
            if file is not None:
                self.files[origin] = file
            return False
        elsewhere = origin.path and other.path and origin.path != other.path
        if not (origin.alone or other.alone) and (str(origin) != str(other) or elsewhere):
            raise ValueError(
                f"{origin.module} is already loaded, as plugin '{other.name}' of {other}"
                + (f" in {other.path}" if other.path else "")
            )
        return True

    def call(self, hook: str, origin: Origin, **arguments: Any) -> None:
        """Call a hook of one plugin alone, if it implements it."""
        plugin = self.manager.get_plugin(key(origin))
        others = [p for p in self.manager.get_plugins() if p is not plugin]
        self.manager.subset_hook_caller(hook, others)(**arguments)

    def fail(self, origin: Origin, stage: str, error: BaseException) -> None:
        """Note that a plugin failed.

        Raises:
            PluginError: in strict mode.
        """
        failure = Failure(origin, stage, describe(error))
        self.failures.append(failure)
        if self.strict:
            raise PluginError(str(failure), failure.hint) from error


class Staged:
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
        """Offer a control."""
        if not (isinstance(spec, type) and issubclass(spec, ControlSpec)):
            raise TypeError(f"expected a subclass of ControlSpec, got {spec!r}")
        self._claim("control", spec.kind, self.plugins.controls, self.controls)
        self.controls[spec.kind] = spec

    def selector(self, spec: type[SelectorSpec]) -> None:
        """Offer a selector."""
        if not (isinstance(spec, type) and issubclass(spec, SelectorSpec)):
            raise TypeError(f"expected a subclass of SelectorSpec, got {spec!r}")
        self._claim("selector", spec.kind, self.plugins.selectors, self.selectors)
        self.selectors[spec.kind] = spec

    def corpus(self, name: str, reader: CorpusReader) -> None:
        """Offer a corpus reader."""
        if not callable(reader):
            raise TypeError(f"corpus reader '{name}' is not callable")
        self._claim("corpus", name, self.plugins.corpora, self.corpora)
        self.corpora[name] = reader

    def commit(self, origin: Origin) -> None:
        """Take all of it over."""
        for what in ("controls", "selectors", "corpora"):
            staged = getattr(self, what)
            getattr(self.plugins, what).update(staged)
            singular = {"corpora": "corpus"}.get(what, what[:-1])
            self.plugins.origins.update({(singular, kind): origin for kind in staged})
            for offered in staged.values():
                set_owner(offered, str(origin))


def source_of(plugin: object) -> Path | None:
    """The file that a module was read from; None of any other object."""
    file = getattr(plugin, "__file__", None) if isinstance(plugin, ModuleType) else None
    return Path(file).resolve() if isinstance(file, str) else None


def key(origin: Origin) -> str:
    """A plugin's name in pluggy."""
    return f"{origin.distribution}:{origin.name}"
