"""Corpora of lines: plain texts, and JSON."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlm_core.corpora.example import Example, broken, scalar_fields, spaced
from dlm_core.corpora.lines import Lines
from dlm_core.errors import UsageError, did_you_mean
from dlm_core.text import load_json


def read_text(path: Path, encoding: str | None = None) -> Iterator[Example]:
    """One text a line; empty lines are skipped."""
    lines = Lines(path, "text", encoding)
    if lines.hint is not None:
        raise UsageError(f"{path} is no file of plain texts", lines.hint)
    for _, line in lines:
        yield Example(spaced(line))


def json_rows(path: Path, lines: Lines) -> Iterator[tuple[int | str, Any]]:
    """The values of a file of JSON lines, or of one array of objects, and where they stand."""
    if re.match(r"\s*\[\s*[{\[]", lines.start) is None:
        for number, line in lines:
            try:
                value = load_json(line)
            except ValueError as error:
                raise broken(path, number, str(error), lines.hint) from error
            yield number, value
        return
    numbers, parts = zip(*lines, strict=True)
    try:
        values = load_json("".join(parts))
    except ValueError as error:
        raise broken(path, numbers[0], f"the array that begins here: {error}") from error
    for index, value in enumerate(values, 1):
        yield f"entry {index} of its array", value


def _row(
    path: Path, place: int | str, value: Any, expected: str, hint: str | None, key: str = "text"
) -> Any:
    if not isinstance(value, dict) or not isinstance(value.get(key), str):
        if hint is None and isinstance(value, dict) and key not in value:
            hint = f"say which key it is: #text=KEY; {did_you_mean(key, value)}"
        raise broken(path, place, f"expected an object with a string '{key}'{expected}", hint)
    return value


def read_jsonl(
    path: Path, encoding: str | None = None, options: Mapping[str, str] | None = None
) -> Iterator[Example]:
    """One JSON object a line, or an array of them, with a string `text`.

    Other values that are strings, numbers or booleans become fields. `options` names the keys of
    the text and of fields that are called otherwise.
    """
    lines = Lines(path, "jsonl", encoding)
    others = dict(options or {})
    key = others.pop("text", "text")
    nested: Counter[str] = Counter()
    keys: dict[str, None] = {}
    for place, value in json_rows(path, lines):
        row = _row(path, place, value, "", lines.hint, key)
        keys.update(dict.fromkeys(row))
        nested.update(name for name, part in row.items() if isinstance(part, list | dict))
        fields = scalar_fields(row, without=(key,))
        renamed = {field: fields.pop(old) for field, old in others.items() if old in fields}
        yield Example(spaced(row[key]), fields | renamed)
    for old in others.values():
        if keys and old not in keys:
            raise UsageError(f"{path}: no row has the key '{old}'", did_you_mean(old, keys))
    for name, rows in nested.items():
        logging.getLogger("dlm").warning(
            f"{path}: no field is made of key '{name}', a list or an object in {rows:,} rows"
        )


def read_labelled(path: Path, encoding: str | None = None) -> Iterator[Example]:
    """One JSON object a line, or an array of them, with a string `text` and its `label`.

    Labels are strings, or numbers, or booleans, but of one type in a file; 1.0 is 1.
    """
    lines = Lines(path, "labelled", encoding)
    first: tuple[str, Any, int | str] | None = None
    for place, value in json_rows(path, lines):
        row = _row(path, place, value, " and a 'label'", lines.hint)
        if "label" not in row:
            raise broken(path, place, "key 'label' is missing")
        label = row["label"]
        kind = _type(label)
        if kind is None:
            raise broken(
                path, place, f"key 'label' is {_shown(label)}: expected a string, number or boolean"
            )
        if first is None:
            first = kind, label, place
        elif first[0] != kind:
            where = f"line {first[2]}" if isinstance(first[2], int) else first[2]
            raise broken(
                path,
                place,
                f"label {_shown(label)} is a {kind}, and {_shown(first[1])} of {where} is a "
                f"{first[0]}",
                "write all labels of a file as one type: strings, numbers or booleans",
            )
        yield Example(spaced(row["text"]), {"label": _named(label)})


def _type(label: Any) -> str | None:
    if isinstance(label, bool):
        return "boolean"
    if isinstance(label, int | float):
        return "number"
    return "string" if isinstance(label, str) and label.strip() else None


def _named(label: str | int | float) -> str:
    if isinstance(label, str):
        return spaced(label)
    whole = isinstance(label, float) and label.is_integer()
    return json.dumps(int(label) if whole else label)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:39]}…"


def story_rows(path: Path, lines: Lines) -> Iterator[Example]:
    """Stories as JSON: an array whose first entry is the story, or an object.

    An object has a string `text` or a list `sentences`; its other keys (`cased`) become fields.
    """
    for place, row in json_rows(path, lines):
        sentences = _story(row)
        if sentences is None:
            expected = '["story"], {"text": "story"} or {"sentences": ["...", ...]}'
            raise broken(path, place, f"expected {expected}", lines.hint)
        keys = row if isinstance(row, dict) else {}
        yield story(sentences, scalar_fields(keys, without=("text", "sentences")))


def story(sentences: Sequence[str], fields: dict[str, str]) -> Example:
    """A text of sentences; a single one may hold several."""
    parts = tuple(part for sentence in sentences if (part := spaced(sentence)))
    return Example(" ".join(parts), fields, parts if len(parts) > 1 else ())


def _story(row: object) -> list[str] | None:
    found: list[Any]
    if isinstance(row, dict):
        found = row["sentences"] if isinstance(row.get("sentences"), list) else [row.get("text")]
    else:
        found = row[:1] if isinstance(row, list) and row else [None]
    return found if all(isinstance(part, str) for part in found) else None
