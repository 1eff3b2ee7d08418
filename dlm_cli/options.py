"""Options that more than one command has, and how their values are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

MODEL_HELP = "An embedded model, the folder of a bundle, or a hub id (owner/name)."

Model = Annotated[
    str, typer.Option("--model", "-m", metavar="MODEL", help=MODEL_HELP, rich_help_panel="Model")
]
PluginFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        metavar="FILE",
        help="A Python file, or a plugin's folder, that registers more; may be repeated.",
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
        rich_help_panel="Data",
    ),
]
