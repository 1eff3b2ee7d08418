"""`dlm plugins`, and loading plugins for the other commands."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlm_cli.app import COMMANDS, examples, group
from dlm_cli.options import Json, Model, PluginFiles
from dlm_cli.output import print_json, print_table, stderr, warn

if TYPE_CHECKING:
    from dlm_core.plugins import Origin, Plugins
    from dlm_core.spec import ControlSpec

app = group("List, show, start and check plugins.")


def load(files: Sequence[Path] | None = None, *, quiet: bool = False) -> Plugins:
    """Load plugins; each that fails is warned of on stderr.

    Whatever a plugin prints while it is imported goes to stderr: stdout is for results.

    Args:
        files: of `--plugin`.
        quiet: nothing is warned of and nothing raised, strict mode or not: for commands that tell
            the failures themselves.
    """
    from dlm_core.plugins import load_plugins

    with redirect_stdout(sys.stderr):
        plugins = load_plugins(files or (), strict=False if quiet else None)
    if not quiet:
        _warn(plugins)
    return plugins


def _warn(plugins: Plugins) -> None:
    for failure in plugins.failures:
        warn(str(failure), failure.hint)


# -- commands of plugins ----------------------------------------------------------------------


def load_commands(app: typer.Typer, strict: bool | None = None, quiet: bool = False) -> None:
    """Load plugins and move their commands into `app`; failures are warned of unless `quiet`."""
    from dlm_core.plugins import load_plugins

    with redirect_stdout(sys.stderr):
        plugins = load_plugins(strict=False if quiet else strict)
        add_commands(app, plugins)
    if not quiet:
        _warn(plugins)


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
        except (Exception, SystemExit) as error:
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
    for below in app.registered_groups:
        if below.typer_instance is not None:
            _name_errors(below.typer_instance, origin)


def _named(callback: Callable[..., Any], origin: Origin) -> Callable[..., Any]:
    """The same, its exceptions told as those of the plugin; Typer's and dlm's own pass."""
    from dlm_core.errors import DLMError, PluginError

    @functools.wraps(callback)
    def run(*args: Any, **values: Any) -> Any:
        try:
            return callback(*args, **values)
        except (DLMError, typer.Exit, typer.Abort, typer.TyperException, BrokenPipeError):
            raise
        except Exception as error:
            raise PluginError(
                f"plugin '{origin.name}' ({origin}) failed in the command {callback.__name__}: "
                f"{type(error).__name__}: {error}",
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


# -- dlm plugins ------------------------------------------------------------------------------


@app.command(
    "list", epilog=examples("dlm plugins list", "dlm plugins list --plugin ./mine.py --json")
)
def list_plugins(plugin: PluginFiles = None, as_json: Json = False) -> None:
    """List plugins: distribution, version, what each provides, and those that failed."""
    plugins = _load_all(plugin)
    rows = [{**_told(origin), **_provided(plugins, origin)} for origin in plugins.loaded]
    if as_json:
        print_json({"plugins": rows, "failures": _failures(plugins)})
        return
    print_table(
        [
            (row["name"], row["distribution"], row["version"], _phrase(plugins, origin))
            for row, origin in zip(rows, plugins.loaded, strict=True)
        ],
        ("NAME", "DISTRIBUTION", "VERSION", "PROVIDES"),
    )
    for failure in plugins.failures:
        print(f"\nfailed: {failure}\n  hint: {failure.hint}")


@app.command(
    "show", epilog=examples("dlm plugins show builtin", "dlm plugins show dlm-control-mine --json")
)
def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A plugin, or a distribution of plugins.")
    ],
    plugin: PluginFiles = None,
    as_json: Json = False,
) -> None:
    """Show a plugin: distribution, version, module, file, what it registers, what failed."""
    from dlm_core.errors import UsageError, did_you_mean

    plugins = _load_all(plugin)
    every = dict.fromkeys([*plugins.loaded, *(failure.origin for failure in plugins.failures)])
    found = [origin for origin in every if origin.called(name)]
    if not found:
        names = {word for origin in every for word in (origin.name, origin.distribution)}
        raise UsageError(f"no plugin '{name}'", did_you_mean(name, sorted(names)))
    data = [
        {
            **_told(origin),
            "summary": _summary(origin),
            "module": origin.module,
            "file": _file(plugins, origin),
            **_provided(plugins, origin),
            "failures": _failures(plugins, origin),
        }
        for origin in found
    ]
    if as_json:
        print_json(data)
        return
    for number, row in enumerate(data):
        print("" if number == 0 else "\n", end="")
        failures = row.pop("failures")
        told = {k: ", ".join(v) if isinstance(v, list) else v for k, v in row.items()}
        print_table([(key, value) for key, value in told.items() if value])
        for failure in failures:
            print(f"failed at {failure['stage']}: {failure['error']}\n  hint: {failure['hint']}")


@app.command(
    "new", epilog=examples("dlm plugins new formal", "dlm plugins new formal --out ~/work")
)
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the control will be called.")],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the distribution's folder is made.")
    ] = Path(),
) -> None:
    """Write a small, complete distribution with a control: module, test, pyproject, README."""
    from dlm_cli.new_plugin import write
    from dlm_core.errors import UsageError

    owner = load(quiet=True).origin("control", name)
    if owner:
        raise UsageError(f"control '{name}' is already provided by {owner}", "choose another name")
    folder = write(name, out)
    print(folder)
    stderr(f"try it: dlm plugins check {folder}")


@app.command(
    "check",
    epilog=examples("dlm plugins check ./mine.py", "dlm plugins check dlm-control-mine -m e2e"),
)
def check(
    plugin: Annotated[
        str,
        typer.Argument(
            metavar="PLUGIN", help="The name of an installed one, a Python file, or a folder."
        ),
    ],
    model: Model = "e2e",
) -> None:
    """Run a plugin's controls and selectors, as their examples have them, through the test kit.

    Ends with the code of the worst: 3 for something missing, a trained head say; 5 for a fault.
    """
    from dlm_cli.check_plugin import check_plugin

    raise typer.Exit(check_plugin(plugin, model))


def _load_all(files: Sequence[Path] | None) -> Plugins:
    """Plugins with their commands; whatever fails is only noted, in strict mode, too."""
    plugins = load(files, quiet=True)
    with redirect_stdout(sys.stderr):
        add_commands(typer.Typer(), plugins)
    return plugins


def _told(origin: Origin) -> dict[str, Any]:
    return {
        "name": origin.name,
        "distribution": origin.distribution,
        "version": origin.version,
    }


def _failures(plugins: Plugins, origin: Origin | None = None) -> list[dict[str, Any]]:
    return [
        {**_told(f.origin), "stage": f.stage, "error": f.error, "hint": f.hint}
        for f in plugins.failures
        if origin is None or f.origin == origin
    ]


def _provided(plugins: Plugins, origin: Origin) -> dict[str, Any]:
    found: dict[str, list[str]] = {"controls": [], "selectors": [], "corpora": [], "commands": []}
    for (what, kind), owner in plugins.origins.items():
        if owner == origin:
            found["corpora" if what == "corpus" else f"{what}s"].append(kind)
    if origin.builtin:  # the readers of the core come without a plugin
        owned = {kind for what, kind in plugins.origins if what == "corpus"}
        found["corpora"] += [kind for kind in plugins.corpora if kind not in owned]
    return found


def _phrase(plugins: Plugins, origin: Origin) -> str:
    provided = _provided(plugins, origin)
    return "; ".join(f"{what} {', '.join(kinds)}" for what, kinds in provided.items() if kinds)


def _summary(origin: Origin) -> str:
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        return metadata(origin.distribution)["Summary"] or ""
    except (PackageNotFoundError, ValueError, KeyError):
        return ""


def _file(plugins: Plugins, origin: Origin) -> str:
    """Where its module lies, also if it could not be imported."""
    from importlib.util import find_spec

    if Path(origin.module).suffix == ".py":
        return str(Path(origin.module).resolve())
    module = origin.module.partition(":")[0]
    try:
        spec = sys.modules[module].__spec__ if module in sys.modules else find_spec(module)
    except Exception:  # a package above it may not be importable
        return ""
    return (spec and spec.origin) or ""
