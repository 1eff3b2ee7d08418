"""`dlm verify`: one text, judged by controls."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_cli.generate.options import Avoid, Control
from dlm_cli.help import examples
from dlm_cli.options import Model, PluginFiles, Quiet
from dlm_cli.output import print_table, utf8_stdout, warn
from dlm_core.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlm_core.bundle import ModelInfo
    from dlm_core.results import ControlReport, Verified

EPILOG = examples(
    "dlm verify 'The Mill is a cheap pub.' -c length:7 -c semantic:price=cheap",
    """dlm verify 'The Mill is a pub.' -c 'mr:"name[The Mill], food[French]"' --json""",
    "dlm generate -n 8 | dlm verify - -c 'pos:\"PROPN ...\"' --not keyword:cheap",
)
_HOLDS = {True: "yes", False: "NO", None: "not judged"}


def command(
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT", help="In quotes, as you write it; - is stdin, a text a line."
        ),
    ],
    control: Control = None,
    avoid: Avoid = None,
    model: Model = "e2e",
    plugin: PluginFiles = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", metavar="", help="A JSON line a text, as 'dlm evaluate' reads it."),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Judge a text by controls.

    Each control's verdict, the parts it is made of, and what is missing, wrong
    or too much. Words are counted as the first line shows them. For figures
    over many texts see 'dlm evaluate --texts'.

    Ends with 0 if every control holds, with 1 if one does not, else with 3:
    one could not be judged, and its detail says why.
    """
    from dlm_cli.evaluate.texts import read_texts
    from dlm_cli.plugins.loading import load
    from dlm_core.bundle import ModelInfo
    from dlm_core.control.compose import Controls
    from dlm_core.control.parse import parse_spec
    from dlm_core.errors import MissingError
    from dlm_core.evaluation.verify import verify

    plugins = load(plugin)
    specs = [*(control or ()), *(f"not {spec}" for spec in avoid or ())]
    if not specs:
        raise UsageError("no control to judge the text by", "--control length:12")
    asked = Controls(tuple(parse_spec(spec, plugins.controls) for spec in specs))
    info = ModelInfo.read(model)
    if os.path.isfile(text):
        warn(f"'{text}' is a file, judged as a text", f"dlm verify - < {text}")
    held = []
    for number, one in enumerate(read_texts(text) if text == "-" else [text]):
        found = verify(one, asked, info, plugins=plugins)
        _tell_unknown(found, info)
        if as_json:
            utf8_stdout()
            print(json.dumps(found.model_dump(mode="json"), ensure_ascii=False), flush=True)
        else:
            print(end="\n" if number else "")
            _print(found)
        held.append(found.satisfied)
    if all(held):
        return
    raise typer.Exit(1 if False in held else MissingError.exit_code)


def _print(found: Verified) -> None:
    """The text in tokens, and a row a control with its parts below."""
    count = len(found.tokens)
    print_table([[f"{found.tokenised}  ({count} word{'s' * (count != 1)})"]])
    rows = [row for report in found.controls for row in _rows(report)]
    print_table(rows, ("HOLDS", "SHARE", "CONTROL", "DETAIL"))


def _rows(report: ControlReport) -> Iterator[tuple[str, ...]]:
    share = "" if report.score is None else f"{report.score:.0%}"
    yield _HOLDS[report.satisfied], share, report.spec, report.detail
    for name, holds in (report.parts or {}).items():
        yield _HOLDS[holds], "", f"  {name}", ""


def _tell_unknown(found: Verified, info: ModelInfo) -> None:
    """The words that the model lacks: a slip, or a word that its controls cannot be about."""
    unknown = info.vocab.unknown(found.tokenised)
    if unknown:
        near = nearest(unknown[0], info.vocab.plain_words)
        names = f"'{unknown[0]}'" + (f" (did you mean '{near}'?)" if near else "")
        names += "".join(f", '{word}'" for word in unknown[1:5])
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        warn(f"no words of model '{info.name}': {names}{more}")
