"""Which reader a file looks written for: a hint for whoever named another one."""

from __future__ import annotations

import re

MR_COLUMNS = ("mr", "meaning_representation", "meaning representation")
REF_COLUMNS = ("ref", "human_reference", "reference")
SENTENCES = tuple(f"sentence{i}" for i in range(1, 6))
PAIR = re.compile(r"\s*[^|:]+ : [^|]*(\|[^|:]+ : [^|]*)*\|\|(?P<text>.*)")
"""`name : The Mill | food : French||The Mill serves ...`, as Diffusion-LM's own corpus is"""
_OBJECT = re.compile(r"\s*(\[\s*)?\{")
_STORY = re.compile(r'\[\s*".*"\s*\],?')
_JSON = {"jsonl", "labelled", "roc"}
_ALIKE = ({"jsonl", "labelled"}, {"csv", "tsv"})
"""Readers of one format."""
_KEY = re.compile(r'"(\w+)"\s*:')


def columns(header: str) -> tuple[list[str], str]:
    """The column names of a CSV's first line, in small letters, and what separates them."""
    separator = max(",;\t", key=header.count)
    cells = (cell.strip().strip('"') for cell in header.split(separator))
    return [" ".join(cell.split()).casefold() for cell in cells], separator


def first_line(start: str) -> str:
    """The first line of how a file begins."""
    return next(iter(start.strip().splitlines()), "").strip()


def fitting(start: str) -> str | None:
    """The built-in reader whose format the first lines of a file have; None if it is no known one.

    Plain texts have no form by which they could be known.
    """
    first = first_line(start)
    header, separator = columns(first)
    names = set(header)
    if (names & set(MR_COLUMNS) and names & set(REF_COLUMNS)) or PAIR.fullmatch(first):
        return "e2e"
    if names >= set(SENTENCES) or _STORY.fullmatch(first):
        return "roc"
    if not _OBJECT.match(start):
        return _table(start, separator, len(header) > 1 and "text" in header)
    keys = set(_KEY.findall(start))
    if "text" in keys:
        return "labelled" if "label" in keys else "jsonl"
    return "roc" if "sentences" in keys else None


def _table(start: str, separator: str, has_text: bool) -> str | None:
    """A table by its header, or by the tabs of its lines, which no text has in each."""
    tabs = {line.count("\t") for line in start.strip("\r\n").splitlines()}
    if len(tabs) == 1 and tabs != {0} and (has_text or start.count("\n") > 1):
        return "tsv"
    return "csv" if has_text and separator != "\t" else None


def hint(reader: str, start: str) -> str | None:
    """What to write instead of `reader` for a file that begins so; None if nothing fits better."""
    found = fitting(start)
    if found is None and reader in _JSON and start.strip() and not _is_json(start):
        return "plain texts, one a line, are for the reader 'text': text:PATH"
    if found is None or found == reader or {found, reader} in _ALIKE:
        return None
    return f"it looks written for the reader '{found}': {found}:PATH"


def no_table(start: str, separator: str) -> str | None:
    """What to write instead for JSON, or a table without this separator; None if it may be one."""
    found = fitting(start)
    if found is None or not (_is_json(start) or separator not in first_line(start)):
        return None
    return f"it looks written for the reader '{found}': {found}:PATH"


def _is_json(start: str) -> bool:
    return start.lstrip().startswith(("{", "["))
