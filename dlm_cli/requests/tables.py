"""Requests from a CSV file with a column `mr`, as the E2E corpus has: one a row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from dlm_core.corpora import formats
from dlm_core.corpora.delimited import csv_rows
from dlm_core.errors import UsageError

_OWN = ("id", "n", "seed")
"""Other columns that a request has; the rest is ignored."""


def from_table(name: str, lines: Iterable[bytes]) -> Iterable[bytes]:
    """The lines of a file of requests, rows of a `.csv` (or `.tsv`) as the JSON they stand for.

    Raises:
        UsageError: a table without a column `mr`, not in UTF-8, or with a quote left open.
    """
    return _rows(Path(name), lines) if {".csv", ".tsv"} & set(Path(name).suffixes) else lines


def _rows(path: Path, lines: Iterable[bytes]) -> Iterator[bytes]:
    source = _decoded(path, lines)
    first = next(source, (1, ""))
    names, separator = formats.columns(first[1])
    if ".tsv" in path.suffixes:
        separator = "\t"
    known = [name for name in names if name in formats.MR_COLUMNS]
    if not known:
        found = ", ".join(filter(None, names))[:80] or "none"
        raise UsageError(f"{path}: no column 'mr', found {found}", "name[The Mill], eatType[pub]")
    rows = csv_rows(path, chain([first], source), separator)
    next(rows)
    told = 0
    for last, cells in rows:
        while told < last - 1:  # a line of output for each that was read: errors name it
            told += 1
            yield b"\n"
        if cells:
            told += 1
            row = dict(zip(names, cells, strict=False))
            yield json.dumps(_request(row, known[0], last)).encode()


def _decoded(path: Path, lines: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, 1):
        try:
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise UsageError(f"{path}, line {number}: not UTF-8") from error


def _request(row: dict[str, str], mr: str, line: int) -> dict[str, Any]:
    """The row as a request; its line is its id if it has none."""
    data: dict[str, Any] = {"id": line, "controls": [f'mr:"{row.get(mr, "")}"']}
    for key in _OWN:
        if value := row.get(key, "").strip():
            data[key] = int(value) if value.lstrip("-").isdigit() else value
    return data
