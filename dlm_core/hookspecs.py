"""The hooks a plugin may implement. Light: imports no torch.

A plugin is a module (or object) named by an entry point of the group `dlm`; built-ins use the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pluggy

if TYPE_CHECKING:
    from dlm_core.corpora import CorpusReader
    from dlm_core.selection import SelectorSpec
    from dlm_core.spec import ControlSpec

_F = TypeVar("_F", bound=Callable[..., Any])

# pluggy's markers erase types; to a type checker they are the identity.
hookspec = cast(Callable[[_F], _F], pluggy.HookspecMarker("dlm"))
hookimpl = cast(Callable[[_F], _F], pluggy.HookimplMarker("dlm"))


@hookspec
def dlm_register_controls(register: Callable[[type[ControlSpec]], None]) -> None:
    """Offer control kinds: call `register(SpecClass)` once for each."""


@hookspec
def dlm_register_selectors(register: Callable[[type[SelectorSpec]], None]) -> None:
    """Offer selectors over candidates: call `register(SpecClass)` once for each."""


@hookspec
def dlm_register_corpora(register: Callable[[str, CorpusReader], None]) -> None:
    """Offer named corpus readers: call `register("name", reader)` once for each."""
