"""The hooks a plugin may implement. Light: imports no torch.

A plugin is a module (or object) named by an entry point of the group `dlm`; built-ins use the same.
Names that begin with `dlm_` are hooks: any other function of such a name in a plugin is refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pluggy

from dlm_core.errors import did_you_mean

if TYPE_CHECKING:
    import typer

    from dlm_core.control.compose import ControlSpec
    from dlm_core.corpora import CorpusReader
    from dlm_core.selection import SelectorSpec

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


@hookspec
def dlm_register_commands(app: typer.Typer) -> None:
    """Add commands, or groups of them, to the command line `dlm`.

    `app` is the plugin's own; its commands are moved into `dlm` when the hook returns. It is called
    by the command line only, for `dlm --help`, for completion, and for a command that is not
    `dlm`'s own. Import torch in the command, not in the module.
    """


HOOKS = tuple(sorted(name for name in globals() if name.startswith("dlm_")))


def check_hooks(plugin: object, manager: pluggy.PluginManager) -> None:
    """Refuse what looks like a hook and would never be called; pluggy alone is silent about it.

    Raises:
        PluginValidationError: a mistyped hook (the nearest is named), or one without `@hookimpl`.
    """
    for name in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, name)
        meant = name.startswith("dlm_") and inspect.isroutine(
            inspect.getattr_static(plugin, name, None)
        )
        if name in HOOKS and meant and options is None:
            raise pluggy.PluginValidationError(plugin, f"hook '{name}' is not marked @hookimpl")
        optional = options is not None and options["optionalhook"]
        if name not in HOOKS and (meant or options is not None) and not optional:
            raise pluggy.PluginValidationError(
                plugin, f"unknown hook '{name}'; {did_you_mean(name, HOOKS)}"
            )
