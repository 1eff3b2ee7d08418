"""Requests from a CSV file with a column `mr`, as the E2E corpus has: one a row."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any

from dlm_core.errors import UsageError

_OWN = ("id", "n", "seed")
"""Other columns that a request has; the rest is ignored."""


def from_table(name: str, lines: Iterable[bytes]) -> Iterable[bytes]:
    """The lines of a file of requests, rows of a `.csv` (or `.tsv`) as the JSON they stand for.

    Raises:
        UsageError: a table without a column `mr`, or not in UTF-8.
    """
    suffixes = PurePath(name).suffixes
    if not {".csv", ".tsv"} & set(suffixes):
        return lines
    return _rows(name, lines, "\t" if ".tsv" in suffixes else ",")


def _rows(name: str, lines: Iterable[bytes], delimiter: str) -> Iterator[bytes]:
    def decoded() -> Iterator[str]:
        for number, line in enumerate(lines, 1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise UsageError(f"{name}, line {number}: not UTF-8") from error

    table = csv.DictReader(decoded(), delimiter=delimiter)
    columns = table.fieldnames or []
    if "mr" not in columns:
        found = ", ".join(columns)[:80] or "none"
        raise UsageError(f"{name}: no column 'mr', found {found}", "name[The Mill], eatType[pub]")
    told = 0
    for row in table:
        while told < table.line_num - 1:  # a line of output for each that was read: errors name it
            told += 1
            yield b"\n"
        told += 1
        yield json.dumps(_request(row, table.line_num)).encode()


def _request(row: dict[str, Any], line: int) -> dict[str, Any]:
    """The row as a request; its line is its id if it has none."""
    data: dict[str, Any] = {"id": line, "controls": [f'mr:"{row["mr"] or ""}"']}
    for key in _OWN:
        if value := (row.get(key) or "").strip():
            data[key] = int(value) if value.lstrip("-").isdigit() else value
    return data
