"""`dlm controls`: what a text can be asked to satisfy."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlm_cli.help import examples, group
from dlm_cli.options import Json, Model, PluginFiles
from dlm_cli.output import print_json, print_table, stderr
from dlm_cli.plugins.loading import find_control, load

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from dlm_core.bundle import ModelInfo
    from dlm_core.control.compose import ControlSpec
    from dlm_core.plugins.registry import Plugins

app = group("List, show and check controls.")
_SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


@app.command(
    "list", epilog=examples("dlm controls list", "dlm controls list --plugin ./mine.py --json")
)
def list_controls(plugin: PluginFiles = None, as_json: Json = False) -> None:
    """List controls: kind, an example, what it does, who provides it."""
    plugins = load(plugin)
    rows = [
        {
            "kind": kind,
            "example": cls.examples[0] if cls.examples else "",
            "provider": plugins.origin("control", kind),
            "summary": cls.summary(),
        }
        for kind, cls in sorted(plugins.controls.items())
    ]
    if as_json:
        print_json(rows)
    else:
        print_table([tuple(row.values()) for row in rows], ("KIND", "EXAMPLE", "PROVIDER", "DOES"))


@app.command(
    "show",
    epilog=examples("dlm controls show semantic", "dlm controls show pos -m runs/mine --json"),
)
def show(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="The name before the colon.")],
    model: Model = "e2e",
    plugin: PluginFiles = None,
    as_json: Json = False,
) -> None:
    """Show a control: its fields, examples, provider, and its head in MODEL."""
    from dlm_core.bundle import ModelInfo

    plugins = load(plugin)
    cls = find_control(plugins, kind)
    data = _describe(cls, plugins, ModelInfo.read(model))
    if as_json:
        print_json(data)
        return
    print(f"{kind}: {inspect.getdoc(cls) or ''}\n")
    for example in cls.examples:
        print(f"  -c '{example}'" if " " in example or '"' in example else f"  -c {example}")
    print("\nfields")
    print_table([("", *_field_row(name, field)) for name, field in data["fields"].items()])
    print()
    print_table(
        [
            ("positional", ", ".join(cls.positional) or "none: write field=value"),
            ("weight", f"{data['default_weight']:g} unless given"),
            ("provider", data["provider"]),
            ("source", data["source"]),
            ("head", data["head"] + (f" in model '{model}'" if trainable(cls) else "")),
        ]
    )


@app.command("check", epilog=examples("dlm controls check length:12 'pos:\"PROPN AUX ...\"'"))
def check(
    specs: Annotated[list[str], typer.Argument(metavar="SPEC...", help="Controls to check.")],
    model: Model = "e2e",
    plugin: PluginFiles = None,
) -> None:
    """Check each control by itself against MODEL; 'dlm generate --dry-run' checks them together.

    Ends with the code of the worst: 2 for a spec that cannot be read, 4 for one that no text meets.
    """
    from dlm_core.bundle import ModelInfo
    from dlm_core.control.compose import Controls
    from dlm_core.control.parse import parse_spec
    from dlm_core.errors import DLMError

    plugins = load(plugin)
    info = ModelInfo.read(model)
    worst = 0
    for source in specs:
        try:
            term = parse_spec(source, plugins.controls)
            print(f"ok  {source}  ({Controls((term,)).check(info)})", flush=True)
        except DLMError as error:
            stderr(f"error: {error.message}")
            if error.hint:
                stderr(f"hint: {error.hint}")
            worst = max(worst, error.exit_code)
    raise typer.Exit(worst)


def trainable(cls: type[ControlSpec]) -> bool:
    """The control has a head to train, as opposed to a classifier-free one."""
    from dlm_core.control.compose import ControlSpec

    return getattr(cls.train, "__func__", None) is not getattr(ControlSpec.train, "__func__", None)


def head_state(cls: type[ControlSpec], info: ModelInfo) -> str:
    """`trained`, `missing`, or `not needed` for a classifier-free control."""
    if not trainable(cls):
        return "not needed"
    found = any(head.split("/")[0] == cls.kind for head in info.heads)
    return "trained" if found else "missing"


def _describe(cls: type[ControlSpec], plugins: Plugins, info: ModelInfo) -> dict[str, Any]:
    from dlm_core.control.compose import usual_weight

    return {
        "kind": cls.kind,
        "summary": cls.summary(),
        "examples": list(cls.examples),
        "positional": list(cls.positional),
        "default_weight": usual_weight(cls),
        "fields": {name: _describe_field(field) for name, field in cls.model_fields.items()},
        "provider": plugins.origin("control", cls.kind),
        "source": _source(cls),
        "head": head_state(cls, info),
    }


def _describe_field(field: FieldInfo) -> dict[str, Any]:
    limits = [
        f"{sign} {getattr(limit, name)}"
        for limit in field.metadata
        for name, sign in _SIGNS.items()
        if hasattr(limit, name)
    ]
    return {
        "type": inspect.formatannotation(field.annotation),
        "limits": limits,
        "required": field.is_required(),
        "default": None if field.is_required() else field.get_default(call_default_factory=False),
        "description": field.description or "",
    }


def _field_row(name: str, field: dict[str, Any]) -> tuple[str, ...]:
    default = "required" if field["required"] else f"default {field['default']!r}"
    return name, " ".join([field["type"], *field["limits"]]), default, field["description"]


def _source(cls: type[ControlSpec]) -> str:
    try:
        return f"{inspect.getsourcefile(cls)}:{inspect.getsourcelines(cls)[1]}"
    except (OSError, TypeError):
        return cls.__module__
