"""`dlm controls`: what a text can be asked to satisfy."""

from __future__ import annotations

import inspect
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlm_cli import completion
from dlm_cli.help import examples, group
from dlm_cli.options import Heads, Json, Model, PluginFiles, read_heads
from dlm_cli.output import print_json, print_table, tell_error
from dlm_cli.plugins.loading import find_control, load
from dlm_core.control.learning import head_kind

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from dlm_core.bundle import ModelInfo
    from dlm_core.control.compose import Controls, ControlSpec
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
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="The name before the colon.",
            autocompletion=completion.kinds,
        ),
    ],
    model: Model = "e2e",
    head: Heads = None,
    plugin: PluginFiles = None,
    as_json: Json = False,
) -> None:
    """Show a control: its fields, examples, provider, and its head in MODEL."""
    from dlm_core.bundle import ModelInfo

    plugins = load(plugin)
    cls = find_control(plugins, kind)
    data = _describe(cls, plugins, ModelInfo.read(model).with_heads(read_heads(head)))
    if as_json:
        print_json(data)
        return
    print_table([[line] for line in f"{kind}: {inspect.getdoc(cls) or ''}\n\n".split("\n")[:-1]])
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
            ("head", data["head"] + (f" in model '{model}'" if head_kind(cls) else "")),
        ]
    )
    if data["knows"]:
        print()
        print_table([[line] for line in data["knows"]])


@app.command("check", epilog=examples("dlm controls check length:12 'pos:\"PROPN AUX ...\"'"))
def check(
    specs: Annotated[
        list[str],
        typer.Argument(
            metavar="SPEC...", help="Controls to check.", autocompletion=completion.specs
        ),
    ],
    model: Model = "e2e",
    head: Heads = None,
    plugin: PluginFiles = None,
) -> None:
    """Check each control by itself against MODEL; 'dlm generate --dry-run' checks them together.

    Ends with the code of the worst: 2 for a spec that cannot be read, 3 for a head that is missing
    or of another model, 4 for one that no text meets.
    """
    from dlm_core.bundle import ModelInfo
    from dlm_core.control.compose import Controls
    from dlm_core.control.parse import parse_spec
    from dlm_core.control.settle import settle
    from dlm_core.errors import DLMError

    plugins = load(plugin)
    info = ModelInfo.read(model).with_heads(read_heads(head))
    worst = 0
    for source in specs:
        try:
            with redirect_stdout(sys.stderr):  # what plugins print is no result
                controls = Controls((parse_spec(source, plugins.controls),))
                lengths = settle(controls, info).lengths
                check_heads(controls, info)
            print(f"ok  {source}  ({lengths})", flush=True)
        except DLMError as error:
            tell_error(error.message, error.hint)
            worst = max(worst, error.exit_code)
    raise typer.Exit(worst)


def head_state(cls: type[ControlSpec], info: ModelInfo) -> str:
    """`trained`, `missing`, `of another model`, or `not needed` for a classifier-free control.

    Where the head is another kind's, that is named: `trained (tree)`.
    """
    from dlm_core.errors import MissingError
    from dlm_core.heads import check_head

    kind = head_kind(cls)
    if not kind:
        return "not needed"
    if cls.named_heads:
        state = "trained" if any(h.split("/")[0] == kind for h in info.heads) else "missing"
    elif not (info.head_path(kind) / "config.json").is_file():
        state = "missing"
    else:
        try:
            check_head(info, kind)
            state = "trained"
        except MissingError:
            state = "of another model, or broken"
    return state if kind == cls.kind else f"{state} ({kind})"


def check_heads(controls: Controls, info: ModelInfo) -> None:
    """The heads that controls need must be there, and trained for this model.

    Raises:
        MissingError: one is not.
    """
    from dlm_core.heads import check_head

    for term in controls.terms:
        cls = type(term.spec)
        if head_kind(cls) and not cls.named_heads:  # `check` of those looks for itself
            check_head(info, head_kind(cls))


def _describe(cls: type[ControlSpec], plugins: Plugins, info: ModelInfo) -> dict[str, Any]:
    from dlm_core.control.weight import usual_weight

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
        "knows": list(cls.knows(info)),
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
