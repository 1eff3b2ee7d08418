"""The options of `dlm evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dlm_cli import completion
from dlm_cli.files import expand

_JUDGES, _LIMITS = "Measures", "Limits"
Results = Annotated[
    str | None,
    typer.Argument(metavar="RESULTS", help="JSONL of 'dlm generate'; - is stdin.", callback=expand),
]
Texts = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Anybody's texts in place of RESULTS: one a line, JSONL, or READER:PATH.",
        callback=expand,
    ),
]
Asked = Annotated[
    list[str] | None,
    typer.Option(
        "--control",
        "-c",
        metavar="SPEC",
        help="What was asked of texts whose rows name no controls; may be repeated.",
        autocompletion=completion.specs,
        rich_help_panel="Controls",
    ),
]
Avoided = Annotated[
    list[str] | None,
    typer.Option("--not", metavar="SPEC", help="The contrary.", rich_help_panel="Controls"),
]
Faults = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND",
        help="Look for this control's faults of texts, though nothing of it was asked.",
        rich_help_panel="Controls",
    ),
]
By = Annotated[
    Literal["kind", "spec"],
    typer.Option(
        help="Success by kind of control, or control by control.", rich_help_panel="Controls"
    ),
]
Other = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Another system's texts for the same targets: the differences, paired.",
        callback=expand,
    ),
]
TeacherOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="lm-score by the teacher in this folder ('dlm train teacher').",
        callback=expand,
        rich_help_panel=_JUDGES,
    ),
]
TrainTexts = Annotated[
    str | None,
    typer.Option(
        "--corpus",
        metavar="READER:PATH",
        help="What is copied from these training texts.",
        autocompletion=completion.corpora,
        rich_help_panel=_JUDGES,
    ),
]
Refs = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE",
        help="BLEU-4, ROUGE-L, CIDEr against these: a line a text, or JSONL rows with an id and a "
        "list 'references'; may be repeated.",
        callback=expand,
        rich_help_panel=_JUDGES,
    ),
]
Bertscore = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="BERTScore by the encoder in this folder.",
        callback=expand,
        rich_help_panel=_JUDGES,
    ),
]
Layer = Annotated[
    int | None,
    typer.Option(
        metavar="INT", min=1, help="Of the encoder; the last if omitted.", rich_help_panel=_JUDGES
    ),
]
Mauve = Annotated[
    bool,
    typer.Option(
        "--mauve",
        metavar="",
        help="MAUVE against the references, by the teacher's features; needs mauve-text, which "
        "is under GPL-3.0 and no part of dlm.",
        rich_help_panel=_JUDGES,
    ),
]
Under = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FIGURE=NUMBER",
        help="End with 1 if a figure is lower; shares in %; may be repeated.",
        rich_help_panel=_LIMITS,
    ),
]
Over = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FIGURE=NUMBER", help="End with 1 if it is higher.", rich_help_panel=_LIMITS
    ),
]
Written = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write the report there too, as .json, .md or .csv.",
        callback=expand,
        rich_help_panel="Output",
    ),
]
