"""The references of `dlm evaluate`: of each text one or more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlm_cli.evaluate.texts import decoded
from dlm_cli.files import open_lines
from dlm_core.errors import UsageError
from dlm_core.text import load_json

if TYPE_CHECKING:
    from dlm_core.evaluation.judging import Text


def read_references(names: Sequence[str], texts: Sequence[Text]) -> list[list[str]]:
    """The references of each text.

    A file of plain text has one a line, in the order of the texts; several files give several. A
    JSONL file has rows {"references": [...]}, in the order of the texts too, or found by their
    "id".

    Raises:
        MissingError: a file cannot be opened.
        UsageError: a line cannot be read, or a text has none.
    """
    found: list[list[str]] = [[] for _ in texts]
    for name in names:
        with open_lines(name, "option '--references'") as opened:
            lines = [line for line in opened if line.strip()]
        jsonl = ".jsonl" in name or ".json" in name
        rows = [_row(line, name, k) for k, line in enumerate(lines, 1)] if jsonl else None
        if rows and all(key is not None for key, _ in rows):
            by_id = dict(rows)
            for k, text in enumerate(texts):
                found[k] += by_id.get(json.dumps(text.id), [])
                if not found[k]:
                    raise UsageError(f"{name}: no references for id {json.dumps(text.id)}")
            continue
        if len(lines) != len(texts):
            raise UsageError(
                f"{name}: {len(lines)} lines for {len(texts)} texts",
                "a line a text, in their order; or JSONL rows with the id of a text's request",
            )
        plain = (
            [[decoded(line, name, k)] for k, line in enumerate(lines, 1)] if rows is None else []
        )
        for k, refs in enumerate(plain or [refs for _, refs in rows or ()]):
            found[k] += refs
    return found


def _row(line: bytes, name: str, number: int) -> tuple[str | None, list[str]]:
    """The id, as JSON, if it has one, and the references."""
    try:
        row = load_json(line)
    except ValueError as error:
        raise UsageError(f"{name}, line {number}: {error}") from error
    refs = row.get("references") if isinstance(row, dict) else None
    if not (isinstance(refs, list) and refs and all(isinstance(r, str) for r in refs)):
        raise UsageError(
            f"{name}, line {number}: no list of strings 'references'",
            '{"id": 1, "references": ["The Mill is a pub."]}',
        )
    return (json.dumps(row["id"]) if "id" in row else None), refs
