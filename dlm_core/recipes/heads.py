"""The heads that a recipe trains: tables of [controls], and all other kinds that can learn."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlm_core.calling import plugin_errors, plugin_name
from dlm_core.control.compose import ControlSpec
from dlm_core.control.learning import ChecksTraining, head_kind, trainable
from dlm_core.corpora import Example
from dlm_core.errors import UsageError, did_you_mean
from dlm_core.plugins.registry import Plugins
from dlm_core.recipes.places import beside

_NOT_OPTIONS = ("model", "examples", "out", "on_step", "options")
_OF_ALL = ("kind", "corpus", "encoding", "steps", "seed")
_STRINGS = ("kind", "corpus", "encoding", "parser", "trees", "rules")
_NUMBERS = ("steps", "seed")


@dataclass(frozen=True)
class Head:
    """A head to train.

    Attributes:
        name: of its table.
        cls: the kind of control.
        owner: who provides it.
        corpus: READER:PATH; None for the recipe's.
        encoding: of that corpus.
        options: as `train` takes them.
        named: the recipe asks for it; what keeps another from being trained is only told.
    """

    name: str
    cls: type[ControlSpec]
    owner: str = ""
    corpus: str | None = None
    encoding: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    named: bool = False

    @property
    def path(self) -> str:
        """Its folder in the bundle's `controls`."""
        return f"{self.cls.kind}/{self.name}" if self.cls.named_heads else self.cls.kind

    def check(self, examples: Sequence[Example]) -> None:
        """Refuse now what training would refuse.

        Raises:
            MissingError, UsageError: an oracle is missing, or the examples teach nothing.
        """
        if issubclass(self.cls, ChecksTraining):
            with plugin_errors(plugin_name("control", self.cls.kind, self.owner), "check_training"):
                self.cls.check_training(examples, **self.options)


def read_heads(tables: object, path: Path, plugins: Plugins) -> tuple[Head, ...]:
    """The heads of [controls] in their order, then those of every other kind that can have one.

    `pos = false` leaves one out; a kind that has many heads has those that are named.

    Raises:
        UsageError: a table, a key or a value is wrong; with the nearest valid one.
    """
    if not isinstance(tables, dict):
        raise UsageError(f"{path}, key 'controls': must be a table", "[controls.pos]")
    kinds = {kind: cls for kind, cls in plugins.controls.items() if trainable(cls)}
    heads = []
    for name, table in tables.items():
        where = f"{path}, table 'controls.{name}'"
        if table is False:
            if name not in kinds:
                raise UsageError(
                    f"{where}: no control '{name}' has a head", did_you_mean(name, kinds)
                )
        elif isinstance(table, dict):
            heads.append(_head(name, table, where, path.parent, plugins, kinds))
        else:
            raise UsageError(
                f"{path}, key 'controls.{name}': must be a table or false", f"[controls.{name}]"
            )
    others = [k for k, c in sorted(kinds.items()) if k not in tables and not c.named_heads]
    heads += [Head(kind, kinds[kind], plugins.origin("control", kind)) for kind in others]
    return tuple(heads)


def _head(
    name: str,
    table: dict[str, Any],
    where: str,
    folder: Path,
    plugins: Plugins,
    kinds: Mapping[str, type[ControlSpec]],
) -> Head:
    for key, value in table.items():
        if key in _STRINGS and not (isinstance(value, str) and value):
            raise UsageError(f"{where}, key '{key}': must be a string, not {value!r}")
        if key in _NUMBERS and (isinstance(value, bool) or not isinstance(value, int)):
            raise UsageError(f"{where}, key '{key}': must be an integer, not {value!r}")
    if table.get("steps", 1) < 1:
        raise UsageError(f"{where}, key 'steps': must be at least 1, not {table['steps']}")
    cls = _kind(str(table.get("kind", name)), where, plugins, kinds)
    known = {*_OF_ALL, *inspect.signature(cls.train).parameters} - {*_NOT_OPTIONS}
    for key in table:
        if key not in known:
            raise UsageError(
                f"{where}, key '{key}': control '{cls.kind}' takes none of that name",
                did_you_mean(key, sorted(known)),
            )
    if not cls.named_heads and name != cls.kind:
        raise UsageError(
            f"{where}: a model has one head for control '{cls.kind}'", f"[controls.{cls.kind}]"
        )
    if cls.named_heads and (re.fullmatch(r"[\w.-]*\w", name) is None or name in plugins.controls):
        taken = "is a control's" if name in plugins.controls else "is no name"
        raise UsageError(
            f"{where}: '{name}' {taken}", "a name of your own: letters, digits, '_', '-' and '.'"
        )
    options = {k: v for k, v in table.items() if k in known - {"kind", "corpus", "encoding"}}
    if "trees" in options:
        options["trees"] = folder / Path(options["trees"]).expanduser()
    if "parser" in options and (folder / options["parser"]).exists():  # else it is a name
        options["parser"] = str(folder / options["parser"])
    corpus = beside(table["corpus"], folder) if "corpus" in table else None
    owner = plugins.origin("control", cls.kind)
    return Head(name, cls, owner, corpus, table.get("encoding"), options, named=True)


def _kind(
    kind: str, where: str, plugins: Plugins, kinds: Mapping[str, type[ControlSpec]]
) -> type[ControlSpec]:
    """A kind with a head to train."""
    if kind in kinds:
        return kinds[kind]
    if kind not in plugins.controls:
        raise UsageError(f"{where}: unknown control '{kind}'", did_you_mean(kind, kinds))
    needed = head_kind(plugins.controls[kind])
    raise UsageError(
        f"{where}: control '{kind}' has no head of its own to train",
        f"it needs that of '{needed}': [controls.{needed}]"
        if needed
        else f"it works with any model as it is; with a head: {', '.join(sorted(kinds))}",
    )
