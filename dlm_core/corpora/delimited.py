"""Any CSV or TSV: a column of texts, the others their fields."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

from dlm_core.corpora import formats
from dlm_core.corpora.columns import TEXT, choose
from dlm_core.corpora.example import Example, broken, spaced
from dlm_core.corpora.lines import Lines
from dlm_core.errors import UsageError

_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs"}
Rows = Iterator[tuple[int, list[str]]]
"""The cells of each row, and the line where it ends."""


def read_csv(
    path: Path, encoding: str | None = None, options: Mapping[str, str] | None = None
) -> Iterator[Example]:
    """CSV with a header, separated by commas, semicolons or tabs; see `examples`."""
    lines = Lines(path, "csv", encoding)
    _, separator = formats.columns(formats.first_line(lines.start))
    _refuse_others(path, lines.start, separator)
    rows = csv_rows(path, iter(lines), separator)
    return examples(path, rows, options or {}, f"quote a cell that holds '{separator}'")


def read_tsv(
    path: Path, encoding: str | None = None, options: Mapping[str, str] | None = None
) -> Iterator[Example]:
    """TSV: a tab ends a cell, a line its row, and quotes are what they are; see `examples`.

    Only where a cell is quoted as a whole, as spreadsheets write it, its quotes are taken off.
    """
    lines = Lines(path, "tsv", encoding)
    _refuse_others(path, lines.start, "\t")
    rows = ((n, [_cell(c) for c in line.rstrip("\r\n").split("\t")]) for n, line in lines)
    return examples(path, rows, options or {}, "texts with tabs or line breaks go into a CSV")


def _refuse_others(path: Path, start: str, separator: str) -> None:
    if (hint := formats.no_table(start, separator)) is not None:
        raise UsageError(f"{path} is no table of cells parted by {_NAMES[separator]}", hint)


def examples(path: Path, rows: Rows, options: Mapping[str, str], ragged: str) -> Iterator[Example]:
    """Texts of a table, its other columns as fields; an empty cell is no value.

    Numbers for columns count those of a file without a header; columns that are not named are then
    left aside.

    Args:
        path: the file.
        rows: header and all.
        options: the column of each field, `text` among them.
        ragged: what to do about a row of another length.

    Raises:
        UsageError: a column is missing, or a row has another length; the line is named.
    """
    number, first = next(rows, (1, None))
    if first is None:
        return
    names = [spaced(name) for name in first]
    width = len(names)
    headless = bool(options) and all(column.isdigit() for column in options.values())
    if headless:
        rows = chain([(number, first)], rows)
        names = [str(k) for k in range(1, width + 1)]
    columns = choose(path, number, names, options)
    if headless:
        columns = {field: columns[field] for field in columns if field in (*options, TEXT)}
    places = {field: names.index(column) for field, column in columns.items()}
    for number, cells in rows:
        if len(cells) != width:
            what = f"a row of {len(cells)}, where the first has {width} columns"
            raise broken(path, number, what, ragged)
        values = {field: spaced(cells[place]) for field, place in places.items()}
        text = values.pop(TEXT)
        yield Example(text, {field: value for field, value in values.items() if value})


def csv_rows(path: Path, lines: Iterator[tuple[int, str]], separator: str) -> Rows:
    """The rows of a CSV; a quoted cell may go over several lines.

    Raises:
        UsageError: a quote is not closed, or stands where it cannot.
    """
    first = last = 0
    """Lines where the row that is read begins, and that is read."""

    def rest() -> Iterator[str]:
        nonlocal first, last
        for last, line in lines:
            first = first or last
            yield line

    try:
        for row in csv.reader(rest(), delimiter=separator, strict=True):
            first = 0
            yield last, row
    except csv.Error as error:
        if "unexpected end" in str(error):
            hint = "close it, or double a quote that belongs to the text"
            raise broken(path, first, "a quote is not closed in the row", hint) from error
        raise broken(path, last, str(error)) from error


def _cell(cell: str) -> str:
    inner = cell[1:-1]
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner.replace('""', "")
    return inner.replace('""', '"') if quoted else cell
