"""What stands behind `#` in READER:PATH: `csv:reviews.csv#text=review,label=stars`.

Each `FIELD=COLUMN` says what a column is; one is the `text`. Columns that are not named become
fields of their own names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from dlm_core.corpora.example import broken
from dlm_core.errors import UsageError, nearest

TEXT = "text"
_OPTION = re.compile(r'\s*([^=,"#]+?)\s*=\s*("[^"]*"|[^,"]*?)\s*(,|$)')
_EXAMPLE = "READER:PATH#text=COLUMN,label=COLUMN"


def split_options(path: str) -> tuple[str, dict[str, str]]:
    """A path, and the options behind its last `#`; a file whose own name has one is no option's.

    Raises:
        UsageError: they read otherwise, or one stands twice.
    """
    place, mark, rest = path.rpartition("#")
    if not mark or Path(path).exists() or ("=" not in rest and not Path(place).exists()):
        return path, {}
    options: dict[str, str] = {}
    at = 0
    while at < len(rest):
        found = _OPTION.match(rest, at)
        column = found[2].strip('"') if found else ""
        if found is None or not column:
            raise UsageError(f"corpus '{path}': expected FIELD=COLUMN at '{rest[at:]}'", _EXAMPLE)
        if found[1] in options:
            raise UsageError(
                f"corpus '{path}': '{found[1]}' stands twice: '{options[found[1]]}' and '{column}'"
            )
        options[found[1]] = column
        at = found.end()
    return place, options


def choose(
    path: Path, place: str | int, names: Sequence[str], options: Mapping[str, str]
) -> dict[str, str]:
    """The column of each field, of `text` first.

    Args:
        path: the corpus.
        place: where its columns are named.
        names: of the columns; one without a name is left aside.
        options: fields and their columns, as the user gave them.

    Raises:
        UsageError: a column is not there, stands twice, or none is the text.
    """
    for name in names:
        if name and (count := names.count(name)) > 1:
            places = [str(k) for k, other in enumerate(names, 1) if other == name]
            raise broken(
                path,
                place,
                f"{count} columns are called '{name}': {' and '.join(places)}",
                "leave one of them in the file",
            )
    found = {field: _column(path, place, names, column) for field, column in options.items()}
    if TEXT not in found:
        named = [name for name in names if name.casefold() == TEXT] or list(filter(None, names))
        if len(named) != 1:
            raise broken(
                path,
                place,
                f"no column is called '{TEXT}': {_listed(names)}",
                _say_which(place, names),
            )
        found = {TEXT: named[0], **found}
    taken = {*found, *found.values(), ""}
    return found | {name: name for name in names if name not in taken}


def _column(path: Path, place: str | int, names: Sequence[str], column: str) -> str:
    same = [name for name in names if name == column] or [
        name for name in names if name.casefold() == column.casefold()
    ]
    if len(same) == 1:
        return same[0]
    near = nearest(column, [name for name in names if name])
    raise broken(
        path,
        place,
        f"no column '{column}': {_listed(names)}",
        f"did you mean '{near}'?" if near else _say_which(place, names),
    )


def _listed(names: Sequence[str]) -> str:
    return (", ".join(filter(None, names)) or "there is none")[:200]


def _say_which(place: str | int, names: Sequence[str]) -> str:
    """What to type; the first line of a table without a header was taken for one."""
    named = [name for name in names if 0 < len(name) <= 40 and not name.isdigit()]
    which = f"say which it is: #{TEXT}={named[-1] if named else 'COLUMN'}"
    return which + (f"; of a file without a header: #{TEXT}=1" if isinstance(place, int) else "")
