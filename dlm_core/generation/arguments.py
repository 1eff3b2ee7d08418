"""What a caller may pass to `generate`, made into what it stands for, or refused by name."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from dlm_core.bundle import Model
from dlm_core.config import GuidanceConfig, SamplingConfig, Settings
from dlm_core.control.compose import Controls, Term, as_controls
from dlm_core.control.parse import parse_spec
from dlm_core.errors import UsageError
from dlm_core.plugins.registry import Plugins
from dlm_core.selection import SelectorSpec, parse_selector

if TYPE_CHECKING:
    from dlm_core.control.compose import Asked

_S = TypeVar("_S", bound=Settings)
ModelLike: TypeAlias = Model | str | PathLike[str]
SamplingLike: TypeAlias = SamplingConfig | Mapping[str, Any] | None
GuidanceLike: TypeAlias = GuidanceConfig | Mapping[str, Any] | str | None


def whole(name: str, value: Any, least: int | None = None) -> int:
    """An integer, Python's or numpy's.

    Raises:
        UsageError: it is none (True is none), or too small.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise UsageError(f"{name}: expected an integer, got {value!r}", f"for example {name}=4")
    if least is not None and number < least:
        raise UsageError(f"{name}={number}: at least {least}")
    return number


def model_of(value: ModelLike) -> Model:
    """A loaded model, or the one that is named."""
    return value if isinstance(value, Model) else Model.load(value)


def controls_of(value: Asked, plugins: Plugins) -> Controls:
    """Controls; strings are read as on the command line."""

    def parse(source: str) -> Term:
        return parse_spec(source, plugins.controls)

    return as_controls(value, parse)


def sampling_of(value: SamplingLike) -> SamplingConfig:
    """`SamplingConfig(...)`, or a dict of its fields."""
    return _settings(SamplingConfig, "sampling", value)


def guidance_of(value: GuidanceLike) -> GuidanceConfig:
    """`GuidanceConfig(...)`, a dict of its fields, or its mode alone."""
    return _settings(
        GuidanceConfig, "guidance", {"mode": value} if isinstance(value, str) else value
    )


def _settings(cls: type[_S], name: str, value: Any) -> _S:
    if value is None:
        return cls()
    if isinstance(value, cls):
        return value
    if isinstance(value, Mapping):
        return cls.read(dict(value), f"argument '{name}'")
    raise UsageError(f"{name}: expected a {cls.__name__} or a dict, got {value!r}")


def selector_of(value: SelectorSpec | str | None, plugins: Plugins) -> SelectorSpec | None:
    """A selector, or the one that a string names."""
    if isinstance(value, str):
        return parse_selector(value, plugins.selectors)
    if value is None or isinstance(value, SelectorSpec):
        return value
    raise UsageError(f"select: expected a selector, got {value!r}", "for example 'mbr:bleu'")


def keep_of(keep: int | None, n: int, select: SelectorSpec | None) -> int:
    """How many of n candidates are kept: 1 unless said, or all by the selector `none`.

    Raises:
        UsageError: more than there are, or there is nothing to keep by.
    """
    if keep is None:
        return n if select is not None and select.kind == "none" else 1
    if select is None:
        raise UsageError("'keep' has no effect without 'select'", "select: control, mbr, ...")
    keep = whole("keep", keep, 1)
    if keep > n:
        raise UsageError(f"cannot keep {keep} of {n} candidates", f"keep at most {n}")
    return keep
