"""`dlm select`: choose again among texts that were generated before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dlm_cli.help import examples
from dlm_cli.options import PluginFiles
from dlm_cli.output import open_results
from dlm_cli.requests.lines import open_lines
from dlm_core.errors import UsageError

if TYPE_CHECKING:
    from dlm_core.results import Result

EPILOG = examples(
    "dlm generate -n 20 --format jsonl -o all.jsonl",
    "dlm select all.jsonl --select mbr:utility=chrf",
    "dlm select all.jsonl --select mbr --keep 20 --format jsonl",
)


def command(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="JSONL with a 'text' a line; - is stdin.")
    ],
    select: Annotated[str, typer.Option("--select", "-s", metavar="SPEC", help="How to choose.")],
    keep: Annotated[
        int, typer.Option(metavar="INT", min=1, help="How many of each request, best first.")
    ] = 1,
    plugin: PluginFiles = None,
    format: Annotated[
        Literal["text", "jsonl"],
        typer.Option(help="One text a line, or the line as it was with score and rank."),
    ] = "text",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write here, not to stdout."),
    ] = None,
) -> None:
    """Choose among texts of a JSONL file.

    Lines of one 'id' are the candidates of one request; without ids all lines are.
    """
    from dlm_cli.plugins.loading import load
    from dlm_core.selection import check_selector, parse_selector
    from dlm_core.selection import select as choose

    plugins = load(plugin)
    selector = parse_selector(select, plugins.selectors)
    owner = plugins.origin("selector", selector.kind)
    check_selector(selector, owner)
    groups = _read(file)
    with open_results(output) as results:
        for rows in groups:
            # the seed only breaks ties: the place of the line does it as well
            candidates = [
                result.model_copy(update={"seed": i}) for i, (_, result) in enumerate(rows)
            ]
            lines = []
            for best in choose(selector, candidates, keep, owner=owner):
                row = rows[best.seed][0] | {"score": best.score, "rank": best.rank}
                lines.append(best.text if format == "text" else json.dumps(row, ensure_ascii=False))
            results.write(lines)


def _read(name: str) -> list[list[tuple[dict[str, Any], Result]]]:
    from pydantic import ValidationError

    from dlm_core.results import Result

    groups: dict[str, list[tuple[dict[str, Any], Result]]] = {}
    with open_lines(name, "argument 'FILE'") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            place = f"{'stdin' if name == '-' else name}, line {number}"
            try:
                row = json.loads(line)
                tokens = row["text"].split()
                defaults = {"tokens": tokens, "seed": 0}
                result = Result.model_validate(defaults | row)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                detail = "expected a JSON object with a string 'text'"
                if isinstance(error, ValidationError):
                    detail = f"key '{error.errors()[0]['loc'][0]}': {error.errors()[0]['msg']}"
                raise UsageError(f"{place}: {detail}") from error
            groups.setdefault(json.dumps(row.get("id")), []).append((row, result))
    if not groups:
        raise UsageError(f"{name}: no texts in it")
    return list(groups.values())
