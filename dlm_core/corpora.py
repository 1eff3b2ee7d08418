"""Readers that turn a corpus file into texts: E2E, ROCStories, plain lines, JSONL; plain or gzip.

A corpus is named `READER:PATH` on the command line, `e2e:train.csv.gz` for one.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from dlm_core.calling import WrongReturnError, each, expect, owner_of, plugin_name
from dlm_core.errors import MissingError, UsageError, did_you_mean

_SLOT = re.compile(r"\s*([^,\[\]]+?)\[(.*?)\](?:,|$)")


@dataclass(frozen=True)
class Example:
    """One text of a corpus; `fields` holds its meaning representation where the corpus has one."""

    text: str
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def fault(self) -> tuple[str, str] | None:
        """What is wrong with it, and what was expected: a reader may have made it of anything."""
        if not isinstance(self.text, str):
            return f"an Example whose text is {self.text!r}", "a str"
        if not isinstance(self.fields, dict) or not all(
            isinstance(word, str) for pair in self.fields.items() for word in pair
        ):
            return f"an Example whose fields are {self.fields!r}", "a dict of str to str"
        return None


CorpusReader = Callable[[Path], Iterator[Example]]


def _open(path: Path) -> TextIO:
    try:
        if path.suffix == ".gz":
            return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8", newline="")
        return path.open(encoding="utf-8", newline="")
    except OSError as error:
        raise MissingError(f"cannot read the corpus {path}: {error.strerror or error}") from error


def _broken(path: Path, line: int, what: str) -> UsageError:
    return UsageError(f"{path}, line {line}: {what}", hint="mend or remove this row")


def parse_mr(mr: str) -> dict[str, str]:
    """The official E2E meaning representation: `name[The Mill], food[French]` -> a dict.

    Raises:
        ValueError: if the string is not a comma-separated list of `field[value]`.
    """
    fields, end = {}, 0
    for match in _SLOT.finditer(mr):
        if match.start() != end:
            break
        fields[match[1].strip()] = match[2].strip()
        end = match.end()
    if mr[end:].strip() or not fields:
        raise ValueError(f"not a meaning representation: {mr[end:].strip() or mr!r}")
    return fields


def read_e2e(path: Path) -> Iterator[Example]:
    """The E2E challenge's CSV: columns `mr` and `ref`."""
    with _open(path) as stream:
        rows = csv.DictReader(stream, strict=True)
        try:
            if rows.fieldnames is None or not {"mr", "ref"} <= set(rows.fieldnames):
                raise _broken(path, 1, f"expected columns mr,ref, found {rows.fieldnames}")
            for row in rows:
                if not row["mr"] or not row["ref"] or None in row:
                    raise _broken(path, rows.line_num, "expected two columns, mr and ref")
                try:
                    yield Example(" ".join(row["ref"].split()), parse_mr(row["mr"]))
                except ValueError as error:
                    raise _broken(path, rows.line_num, f"column 'mr': {error}") from error
        except (csv.Error, UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise _broken(path, rows.line_num + 1, str(error)) from error


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    with _open(path) as stream:
        number = 0
        try:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield number, line
        except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise _broken(path, number + 1, str(error)) from error


def read_text(path: Path) -> Iterator[Example]:
    """One text a line; empty lines are skipped."""
    for _, line in _read_lines(path):
        yield Example(" ".join(line.split()))


def read_jsonl(path: Path) -> Iterator[Example]:
    """One JSON object a line with a string `text`; other string values become fields."""
    for number, line in _read_lines(path):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise _broken(path, number, f"not JSON: {error}") from error
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise _broken(path, number, "expected an object with a string 'text'")
        fields = {k: str(v) for k, v in row.items() if k != "text" and isinstance(v, str | int)}
        yield Example(" ".join(row["text"].split()), fields)


def read_labelled(path: Path) -> Iterator[Example]:
    """One JSON object a line with a string `text` and its `label`, a string, number or boolean."""
    for number, line in _read_lines(path):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise _broken(path, number, f"not JSON: {error}") from error
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise _broken(path, number, "expected an object with a string 'text' and a 'label'")
        label = row.get("label")
        if not isinstance(label, str | int | float) or not str(label).strip():
            raise _broken(path, number, "key 'label': expected a string")
        named = label if isinstance(label, str) else json.dumps(label)
        yield Example(" ".join(row["text"].split()), {"label": " ".join(named.split())})


def read_roc(path: Path) -> Iterator[Example]:
    """ROCStories: one JSON array a line whose first entry is the story, or an object.

    An object has a string `text` or a list `sentences`; its other keys (`cased`) become fields.
    """
    for number, line in _read_lines(path):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise _broken(path, number, f"not JSON: {error}") from error
        text = _story(row)
        if text is None:
            expected = '["story"], {"text": "story"} or {"sentences": ["...", ...]}'
            raise _broken(path, number, f"expected {expected}")
        keys = row if isinstance(row, dict) else {}
        fields = {k: str(v) for k, v in keys.items() if k not in ("text", "sentences")}
        yield Example(" ".join(text.split()), fields)


def _story(row: object) -> str | None:
    if isinstance(row, dict) and isinstance(row.get("sentences"), list):
        sentences = row["sentences"]
        return " ".join(sentences) if all(isinstance(s, str) for s in sentences) else None
    if isinstance(row, dict):
        text = row.get("text")
    else:
        text = row[0] if isinstance(row, list) and row else None
    return text if isinstance(text, str) else None


READERS: dict[str, CorpusReader] = {
    "e2e": read_e2e,
    "roc": read_roc,
    "text": read_text,
    "jsonl": read_jsonl,
    "labelled": read_labelled,
}


def read_corpus(name: str, readers: dict[str, CorpusReader] | None = None) -> list[Example]:
    """Read `READER:PATH` whole.

    Args:
        name: for example `e2e:../data/train.csv.gz`.
        readers: the known readers; the built-in ones if omitted.

    Raises:
        UsageError: unknown reader, empty corpus, or a broken row (file and line are named).
        MissingError: the file cannot be opened.
    """
    known = READERS if readers is None else readers
    kind, separator, path = name.partition(":")
    if not separator or not path:
        raise UsageError(
            f"corpus '{name}': expected READER:PATH", hint=f"readers: {', '.join(known)}"
        )
    if kind not in known:
        raise UsageError(f"corpus '{name}': unknown reader '{kind}'", did_you_mean(kind, known))
    subject, file = plugin_name("corpus", kind, owner_of(known[kind])), Path(path).expanduser()
    examples = list(each(subject, "example", lambda: known[kind](file), _checked))
    if not examples:
        raise UsageError(f"corpus '{name}': no texts in it")
    return examples


def _checked(example: object) -> Example:
    found = expect(example, Example, "an Example")
    if fault := found.fault:
        raise WrongReturnError(*fault)
    return found
