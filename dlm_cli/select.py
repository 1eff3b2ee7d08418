"""`dlm select`: choose again among texts that were generated before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dlm_cli import completion
from dlm_cli.files import MAX_LINE, check_output, expand, open_lines, open_results
from dlm_cli.help import examples
from dlm_cli.options import Force, Output, PluginFiles, Quiet
from dlm_cli.output import tell_error, utf8_stdout
from dlm_cli.words import one_line
from dlm_core.errors import DLMError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dlm_core.results import Result

    Row = tuple[dict[str, Any], Result]

EPILOG = examples(
    "dlm generate -n 20 --format jsonl -o all.jsonl",
    "dlm select all.jsonl --select mbr:utility=chrf",
    "dlm select all.jsonl --select mbr --keep 20 --format jsonl",
)


def command(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="JSONL with a 'text' a line; - is stdin.", callback=expand
        ),
    ],
    select: Annotated[
        str,
        typer.Option(
            "--select",
            "-s",
            metavar="SPEC",
            help="How to choose.",
            autocompletion=completion.selectors,
        ),
    ],
    keep: Annotated[
        int, typer.Option(metavar="INT", min=1, help="How many of each request, best first.")
    ] = 1,
    plugin: PluginFiles = None,
    format: Annotated[
        Literal["text", "jsonl"],
        typer.Option(help="One text a line, or the line as it was with score and rank."),
    ] = "text",
    output: Output = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Choose among texts of a JSONL file.

    Lines of one 'id' are the candidates of one request; without ids all lines are. A line needs a
    'text' alone; one that has none is told, and the rest goes on.
    """
    from dlm_cli.plugins.loading import load
    from dlm_core.selection import check_selector, parse_selector

    plugins = load(plugin)
    selector = parse_selector(select, plugins.selectors)
    owner = plugins.origin("selector", selector.kind)
    inputs: list[tuple[str, str | Path | None]] = [("FILE", file)]
    inputs += [("--plugin", path) for path in plugin or ()]
    check_output(output, inputs, force)
    if format == "jsonl":
        utf8_stdout()
    reader = _Rows(file)
    with open_results(output) as results:
        check_selector(selector, owner)
        for key, rows in reader.groups().items():
            try:
                best = _best(selector, rows, keep, owner)
            except DLMError as error:
                reader.tell(error, f"the texts of id {key}" if key != "null" else "its texts")
            else:
                results.write([_line(row, format) for row in best])
    raise typer.Exit(reader.worst)


def _line(row: dict[str, Any], format: str) -> str:
    return (
        one_line(row["text"])
        if format == "text"
        else json.dumps(row, ensure_ascii=False, allow_nan=False)
    )


def _best(selector: Any, rows: list[Row], keep: int, owner: str) -> list[dict[str, Any]]:
    from dlm_core.selection import select as choose

    # the seed only breaks ties: the place of the line does it as well
    candidates = [result.model_copy(update={"seed": i}) for i, (_, result) in enumerate(rows)]
    return [
        rows[best.seed][0] | {"score": best.score, "rank": best.rank}
        for best in choose(selector, candidates, keep, owner=owner)
    ]


class _Rows:
    """The rows of a file by their id; one that is wrong is told and left out."""

    def __init__(self, name: str) -> None:
        self._name = "stdin" if name == "-" else name
        self._file = name
        self.worst = 0

    def groups(self) -> dict[str, list[Row]]:
        """Id, as JSON -> its rows."""
        found: dict[str, list[Row]] = {}
        with open_lines(self._file, "argument 'FILE'") as lines:
            for row, result in self._read(lines):
                found.setdefault(json.dumps(row.get("id")), []).append((row, result))
        if not found:
            raise UsageError(f"{self._name}: no texts in it")
        return found

    def tell(self, error: DLMError, place: str) -> None:
        """Tell an error of one row or request."""
        tell_error(f"{self._name}, {place}: {error.message}", error.hint)
        self.worst = max(self.worst, error.exit_code)

    def _read(self, lines: Iterable[bytes]) -> Iterable[Row]:
        number = 0
        try:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    yield _row(line)
                except UsageError as error:
                    self.tell(error, f"line {number}")
        except DLMError as error:  # the file itself cannot be read on
            self.tell(error, f"line {number + 1}")


def _row(line: bytes) -> Row:
    """A row and what a selector sees of it: of other programs' rows, the text alone.

    Raises:
        UsageError: it has no text.
    """
    from pydantic import ValidationError

    from dlm_core.natural import tokenise
    from dlm_core.results import Result
    from dlm_core.text import load_json

    try:
        row = load_json(line) if len(line) <= MAX_LINE else None
    except ValueError as error:
        raise UsageError(str(error)) from error
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise UsageError("expected a JSON object with a string 'text'", '{"text": "a pub ."}')
    plain = {"text": row["text"], "tokens": tokenise(row["text"]), "seed": 0}
    ours = {key: row[key] for key in ("tokens", "controls") if key in row}
    try:
        return row, Result.model_validate(plain | ours)
    except ValidationError:  # a key of the same name with another meaning
        return row, Result.model_validate(plain)
