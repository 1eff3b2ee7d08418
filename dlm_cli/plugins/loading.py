"""Loading plugins for the commands, and the commands that plugins bring."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dlm_cli.commands import COMMANDS
from dlm_cli.output import warn

if TYPE_CHECKING:
    from dlm_core.control.compose import ControlSpec
    from dlm_core.plugins.registry import Origin, Plugins


def load(files: Sequence[Path] | None = None, *, quiet: bool = False) -> Plugins:
    """Load plugins; each that fails is warned of on stderr.

    Whatever a plugin prints while it is imported goes to stderr: stdout is for results.

    Args:
        files: of `--plugin`.
        quiet: nothing is warned of and nothing raised, strict mode or not: for commands that tell
            the failures themselves.
    """
    from dlm_core.plugins.loading import load_plugins

    with redirect_stdout(sys.stderr):
        plugins = load_plugins(files or (), strict=False if quiet else None)
    if not quiet:
        warn_of(plugins)
    return plugins


def warn_of(plugins: Plugins) -> None:
    """Tell each plugin that failed."""
    for failure in plugins.failures:
        warn(str(failure), failure.hint)


def load_commands(app: typer.Typer, strict: bool | None = None, quiet: bool = False) -> None:
    """Load plugins and move their commands into `app`; failures are warned of unless `quiet`."""
    from dlm_core.plugins.loading import load_plugins

    with redirect_stdout(sys.stderr):
        plugins = load_plugins(strict=False if quiet else strict)
        add_commands(app, plugins)
    if not quiet:
        warn_of(plugins)


def add_commands(app: typer.Typer, plugins: Plugins) -> None:
    """Move the commands that loaded plugins offer into `app`.

    One that fails is left out and noted in `plugins.failures`; what it registered else stays.
    """
    taken = {command.name: "dlm itself" for command in COMMANDS}
    for origin in plugins.loaded:
        staged = typer.Typer()
        try:
            plugins.call("dlm_register_commands", origin, app=staged)
            names = _names(staged)
            for name in names:
                if name in taken:
                    raise ValueError(f"command '{name}' is already provided by {taken[name]}")
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            plugins.fail(origin, "commands", error)
            continue
        taken |= dict.fromkeys(names, str(origin))
        plugins.origins |= {("command", name): origin for name in names}
        _name_errors(staged, origin)
        for command in staged.registered_commands:
            command.rich_help_panel = str(origin)
        for below in staged.registered_groups:
            below.rich_help_panel = str(origin)
        app.registered_commands += staged.registered_commands
        app.registered_groups += staged.registered_groups


def _names(staged: typer.Typer) -> list[str]:
    """What the commands are called; Typer refuses here what it could not run."""
    if not (staged.registered_commands or staged.registered_groups):
        return []
    staged.callback()(_group)  # an app of one command would be that command
    return list(typer.main.get_command(staged).commands)  # type: ignore[attr-defined]


def _group() -> None:
    """Stands for `dlm` itself while a plugin's commands are built."""


def _name_errors(app: typer.Typer, origin: Origin) -> None:
    for command in app.registered_commands:
        if command.callback is not None:
            command.callback = _named(command.callback, origin)
    group = app.registered_callback
    if group is not None and group.callback is not None:
        group.callback = _named(group.callback, origin)
    for below in app.registered_groups:
        if below.typer_instance is not None:
            _name_errors(below.typer_instance, origin)


def _named(callback: Callable[..., Any], origin: Origin) -> Callable[..., Any]:
    """The same, its exceptions told as those of the plugin.

    Typer's and dlm's own pass, and so does an exit: what a command prints and what it ends with is
    its own.
    """
    from dlm_core.calling import describe
    from dlm_core.errors import DLMError, PluginError

    @functools.wraps(callback)
    def run(*args: Any, **values: Any) -> Any:
        try:
            return callback(*args, **values)
        except (DLMError, typer.Exit, typer.Abort, typer.TyperException, BrokenPipeError):
            raise
        except (SystemExit, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            raise PluginError(
                f"plugin '{origin.name}' ({origin}) failed in the command {callback.__name__}: "
                f"{describe(error)}",
                "DLM_DEBUG=1 shows the traceback",
            ) from error

    return run


def find_control(plugins: Plugins, kind: str) -> type[ControlSpec]:
    """The control `kind`.

    Raises:
        UsageError: there is none; the nearest is named.
    """
    from dlm_core.errors import UsageError, did_you_mean

    if kind not in plugins.controls:
        raise UsageError(f"unknown control '{kind}'", did_you_mean(kind, plugins.controls))
    return plugins.controls[kind]
