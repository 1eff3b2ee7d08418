"""Corpora in CSV and its relatives: E2E with its meaning representations, and ROCStories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from dlm_core.corpora import formats
from dlm_core.corpora.delimited import csv_rows
from dlm_core.corpora.example import Example, broken, scalar_fields, spaced
from dlm_core.corpora.lines import Lines
from dlm_core.corpora.meaning import once, parse_mr
from dlm_core.corpora.rows import story, story_rows

_RELEASED = {"Type": "eatType", "price": "priceRange", "family friendly": "familyFriendly"}
"""Fields of Diffusion-LM's own corpus, by their official names."""


def read_e2e(path: Path, encoding: str | None = None) -> Iterator[Example]:
    """The E2E challenge's CSV with columns `mr` and `ref`; also with semicolons or tabs.

    Columns may be written in capitals or called `meaning_representation` and `human_reference`,
    and others are left aside. Lines `name : The Mill | food : French||The Mill ...` are read too.
    """
    lines = Lines(path, "e2e", encoding)
    if formats.PAIR.fullmatch(formats.first_line(lines.start)):
        yield from _pairs(path, lines)
        return
    for number, (mr, ref) in _table(path, lines, (formats.MR_COLUMNS, formats.REF_COLUMNS)):
        try:
            yield Example(spaced(ref), parse_mr(mr))
        except ValueError as error:
            raise broken(path, number, f"column 'mr': {error}") from error


def _pairs(path: Path, lines: Lines) -> Iterator[Example]:
    for number, line in lines:
        if formats.PAIR.fullmatch(line.strip()) is None:
            raise broken(path, number, "expected 'field : value | field : value||text'")
        facts, _, text = line.partition("||")
        slots = []
        for fact in facts.split("|"):
            name, _, value = fact.partition(" : ")
            slots.append((_RELEASED.get(name.strip(), name.strip()), value.strip()))
        try:
            yield Example(spaced(text), once(slots))
        except ValueError as error:
            raise broken(path, number, str(error)) from error


def read_roc(path: Path, encoding: str | None = None) -> Iterator[Example]:
    """ROCStories: a JSON array a line whose first entry is the story, an object, or their CSV.

    An object has a string `text` or a list `sentences`; its other keys (`cased`) become fields. The
    CSV has columns `sentence1` to `sentence5`.
    """
    lines = Lines(path, "roc", encoding)
    names, _ = formats.columns(formats.first_line(lines.start))
    if not set(formats.SENTENCES) <= set(names):
        yield from story_rows(path, lines)
        return
    title = ("storytitle",) if "storytitle" in names else ()
    wanted = tuple((name,) for name in (*formats.SENTENCES, *title))
    for _, cells in _table(path, lines, wanted):
        fields = {"title": cells[5]} if title else {}
        yield story(cells[:5], scalar_fields(fields, without=()))


def _table(
    path: Path, lines: Lines, wanted: tuple[tuple[str, ...], ...]
) -> Iterator[tuple[int, list[str]]]:
    """The line number and the wanted cells of each row; of each column, its known names."""
    source = iter(lines)
    number, header = next(source, (1, None))
    if header is None:
        return
    names, separator = formats.columns(header)
    places = [_column(path, number, names, known, wanted, lines.hint) for known in wanted]
    for last, row in csv_rows(path, source, separator):
        if len(row) != len(names):
            what = f"a row of {len(row)}, where the header has {len(names)} columns"
            raise broken(path, last, what, f"quote a cell that holds '{separator}'")
        for place in places:
            if not row[place].strip():
                raise broken(path, last, f"column '{names[place]}' is empty")
        yield last, [row[place] for place in places]


def _column(
    path: Path,
    number: int,
    names: Sequence[str],
    known: tuple[str, ...],
    wanted: tuple[tuple[str, ...], ...],
    hint: str | None,
) -> int:
    """Where a column stands, by one of the names it is known by."""
    found = [place for place, name in enumerate(names) if name in known]
    if not found:
        expected = ",".join(other[0] for other in wanted)
        raise broken(
            path,
            number,
            f"expected columns {expected}, found {', '.join(names)[:200] or 'none'}",
            hint or f"call a column '{known[0]}'",
        )
    if len(found) > 1:
        twice = " and ".join(f"{place + 1} ('{names[place]}')" for place in found)
        raise broken(
            path, number, f"columns {twice} both are '{known[0]}'", "leave one of them in the file"
        )
    return found[0]
