"""`dlm selectors`: how the best of several candidates is chosen."""

from __future__ import annotations

from dlm_cli.help import examples, group
from dlm_cli.options import Json, PluginFiles
from dlm_cli.output import print_json, print_table
from dlm_cli.plugins.loading import load

app = group("List selectors.")


@app.callback()
def _group() -> None:
    """List selectors."""


@app.command("list", epilog=examples("dlm selectors list", "dlm selectors list --json"))
def list_selectors(plugin: PluginFiles = None, as_json: Json = False) -> None:
    """List selectors: kind, examples, what it does, who provides it."""
    plugins = load(plugin)
    found = [
        {
            "kind": kind,
            "examples": list(cls.examples),
            "provider": plugins.origin("selector", kind),
            "summary": cls.summary(),
        }
        for kind, cls in sorted(plugins.selectors.items())
    ]
    if as_json:
        print_json(found)
        return
    print_table(
        [
            (row["kind"], ", ".join(row["examples"]), row["provider"], row["summary"])
            for row in found
        ],
        ("KIND", "EXAMPLES", "PROVIDER", "DOES"),
    )
