"""`dlm plugins`: list, show, start and check plugins."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlm_cli.files import expand
from dlm_cli.help import examples, group
from dlm_cli.options import Json, Model, PluginFiles
from dlm_cli.output import print_json, print_table, stderr
from dlm_cli.plugins.loading import add_commands, load

if TYPE_CHECKING:
    from dlm_core.plugins.registry import Origin, Plugins

app = group("List, show, start and check plugins.")


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
        Path,
        typer.Option(
            metavar="DIR", help="Where the distribution's folder is made.", callback=expand
        ),
    ] = Path(),
) -> None:
    """Write a small, complete distribution with a control: module, test, pyproject, README."""
    from dlm_cli.plugins.new import write
    from dlm_core.errors import UsageError

    name = name.removeprefix("dlm-control-")  # the distribution's name means the same
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
    Of dlm's own ('builtin') what is missing is told and does not count.
    """
    from dlm_cli.plugins.check import check_plugin

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

    if origin.path and origin.alone:
        return origin.path
    module = origin.module.partition(":")[0]
    try:
        spec = sys.modules[module].__spec__ if module in sys.modules else find_spec(module)
    except Exception:  # a package above it may not be importable
        return ""
    return (spec and spec.origin) or ""
