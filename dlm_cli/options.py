"""Options that more than one command has, and how their values are read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from dlm_cli import completion
from dlm_cli.files import expand
from dlm_cli.output import be_quiet, warn

MODEL_HELP = (
    "An embedded model, the folder of a bundle, or a hub id: owner/name, owner/name@revision."
)
DEFAULT_MODEL = "e2e"


def from_settings(context: typer.Context, parameter: typer.CallbackParam, value: str) -> str:
    """Callback of an option of whose name there is a setting, which holds where none is given."""
    name = parameter.name or ""
    source = context.get_parameter_source(name)
    if source is None or source.name != "DEFAULT" or context.resilient_parsing:
        return value
    from dlm_cli.settings import settings

    return str(getattr(settings(), name))


def default_model(context: typer.Context, parameter: typer.CallbackParam, value: str) -> str:
    """Callback of MODEL: the setting's where none is named."""
    name = from_settings(context, parameter, value)
    if Path(name).is_dir() and not context.resilient_parsing:
        from dlm_core.locate import shadowed

        if told := shadowed(name):
            warn(told, f"-m ./{name}")
    return name


Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help=MODEL_HELP + " DLM_MODEL names another default.",
        callback=default_model,
        autocompletion=completion.models,
        rich_help_panel="Model",
    ),
]
Heads = Annotated[
    list[str] | None,
    typer.Option(
        "--head",
        metavar="KIND=DIR",
        help="Take the head of a control from this folder, not from the model; may be repeated.",
        rich_help_panel="Model",
    ),
]
PluginFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        metavar="FILE",
        help="A Python file, or a plugin's folder, that registers more; may be repeated.",
        callback=expand,
        rich_help_panel="Controls",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="auto, cpu, cuda, cuda:1 or mps.",
        rich_help_panel="Model",
    ),
]
Json = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON, for programs.")]
Corpus = Annotated[
    str,
    typer.Option(
        "--corpus",
        metavar="READER:PATH",
        help="Training texts, for example e2e:train.csv.gz.",
        autocompletion=completion.corpora,
        rich_help_panel="Data",
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        metavar="NAME",
        help="Of the corpus's files, for example latin-1; UTF-8 or their byte order mark's if "
        "omitted.",
        rich_help_panel="Data",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write results here, not to stdout; packed if the name ends in .gz, .bz2 or .xz.",
        callback=expand,
        rich_help_panel="Output",
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        metavar="",
        help="Write FILE of -o anew, though it is there.",
        rich_help_panel="Output",
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        metavar="",
        help="Nothing on stderr but errors.",
        callback=be_quiet,
        is_eager=True,
        rich_help_panel="Output",
    ),
]


def read_heads(values: Iterable[str] | None, where: str = "option '--head'") -> dict[str, Path]:
    """Folders by kind, of KIND=DIR.

    Raises:
        UsageError: a value reads otherwise, or a kind stands twice.
    """
    from dlm_core.errors import UsageError

    found: dict[str, Path] = {}
    for value in values or ():
        kind, separator, folder = value.partition("=")
        if not (separator and kind and folder):
            raise UsageError(
                f"{where}: expected KIND=DIR, not '{value}'", "for example pos=heads/pos"
            )
        if kind in found:
            raise UsageError(f"{where}: '{kind}' stands twice", "one folder a kind")
        found[kind] = Path(folder).expanduser()
    return found
