"""`dlm plugins`, and loading plugins for the other commands."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlm_cli.app import examples, group
from dlm_cli.options import Json, PluginFiles
from dlm_cli.output import print_json, print_table, warn

if TYPE_CHECKING:
    from dlm_core.plugins import Origin, Plugins
    from dlm_core.spec import ControlSpec

app = group("List plugins and what is wrong with them.")


def load(files: Sequence[Path] | None = None, *, quiet: bool = False) -> Plugins:
    """Load plugins; each that fails is warned of on stderr, unless `quiet`.

    Whatever a plugin prints while it is imported goes to stderr: stdout is for results.
    """
    from dlm_core.plugins import load_plugins

    with redirect_stdout(sys.stderr):
        plugins = load_plugins(files or ())
    if not quiet:
        for failure in plugins.failures:
            warn(str(failure), failure.hint)
    return plugins


def find_control(plugins: Plugins, kind: str) -> type[ControlSpec]:
    """The control `kind`.

    Raises:
        UsageError: there is none; the nearest is named.
    """
    from dlm_core.errors import UsageError, did_you_mean

    if kind not in plugins.controls:
        raise UsageError(f"unknown control '{kind}'", did_you_mean(kind, plugins.controls))
    return plugins.controls[kind]


@app.command(
    "list", epilog=examples("dlm plugins list", "dlm plugins list --plugin ./mine.py --json")
)
def list_plugins(plugin: PluginFiles = None, as_json: Json = False) -> None:
    """List plugins: distribution, version, what each provides, and those that failed."""
    plugins = load(plugin, quiet=True)
    rows = [
        {
            "name": origin.name,
            "distribution": origin.distribution,
            "version": origin.version,
            **_provided(plugins, origin),
        }
        for origin in plugins.loaded
    ]
    failures = [
        {
            "name": failure.origin.name,
            "distribution": failure.origin.distribution,
            "version": failure.origin.version,
            "stage": failure.stage,
            "error": failure.error,
            "hint": failure.hint,
        }
        for failure in plugins.failures
    ]
    if as_json:
        print_json({"plugins": rows, "failures": failures})
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


def _provided(plugins: Plugins, origin: Origin) -> dict[str, Any]:
    found: dict[str, list[str]] = {"controls": [], "selectors": [], "corpora": []}
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
