"""Plain texts from a file: one a line, JSONL, or a corpus."""

from __future__ import annotations

import random
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from dlm_cli.files import MAX_LINE, open_lines
from dlm_core.config import AS_THEY_ARE, TextConfig
from dlm_core.errors import UsageError
from dlm_core.text import load_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dlm_core.corpora import CorpusReader


def as_corpus(name: str, readers: Mapping[str, CorpusReader]) -> str:
    """A file as READER:PATH: what is no corpus's name is JSONL by its suffix, or lines of text."""
    if name.partition(":")[0] in readers:
        return name
    jsonl = {".jsonl", ".json"} & set(PurePath(name).suffixes)
    return f"{'jsonl' if jsonl else 'text'}:{name}"


def read_texts(
    name: str,
    readers: Mapping[str, CorpusReader] | None = None,
    prepared: TextConfig = AS_THEY_ARE,
) -> list[str]:
    """The texts of a file, without those that are empty; `-` is stdin, a text a line.

    Of JSONL rows that have `tokens`, as those of `dlm generate`, it is these.

    Args:
        name: the file, or READER:PATH.
        readers: the known readers.
        prepared: how the texts of READER:PATH are prepared; others stay as somebody wrote them.

    Raises:
        UsageError, MissingError: it cannot be read, or has none.
    """
    from dlm_core.corpora import READERS, prepare, read_corpus

    known = dict(READERS if readers is None else readers)
    corpus = as_corpus(name, known)
    if name == "-":
        with open_lines(name, "argument 'TEXTS'") as lines:
            texts = [decoded(line, "stdin", number) for number, line in enumerate(lines, start=1)]
    elif corpus.startswith("jsonl:") and corpus != name:
        texts = list(_of_rows(name))
    else:
        given = prepared if corpus == name else AS_THEY_ARE
        texts = [example.text for example in prepare(read_corpus(corpus, known), given)]
    texts = [text for text in texts if text.strip()]
    if not texts:
        raise UsageError(f"{'stdin' if name == '-' else name}: no texts in it")
    return texts


def decoded(line: bytes, name: str, number: int) -> str:
    """A line of plain text.

    Raises:
        UsageError: it is not UTF-8, or too long.
    """
    if len(line) > MAX_LINE:
        raise UsageError(f"{name}, line {number}: more than {MAX_LINE:,} bytes", "a line a text")
    try:
        return line.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}, line {number}: not UTF-8") from error


def _of_rows(name: str) -> Iterator[str]:
    with open_lines(name, "argument 'TEXTS'") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = read_row(line)
            except UsageError as error:
                place = f"{name}, line {number}"
                raise UsageError(f"{place}: {error.message}", error.hint) from error
            yield tokens_of(row) or row["text"]


def read_row(line: bytes) -> dict[str, Any]:
    """A row with a text.

    Raises:
        UsageError: it is none.
    """
    try:
        row = load_json(line) if len(line) <= MAX_LINE else None
    except ValueError as error:
        raise UsageError(str(error)) from error
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise UsageError("expected a JSON object with a string 'text'", '{"text": "a pub ."}')
    specs = row.get("controls") or []
    known = isinstance(specs, list) and all(
        isinstance(c, str) or (isinstance(c, dict) and isinstance(c.get("spec"), str))
        for c in specs
    )
    if not known:
        raise UsageError("'controls' are no list of specs", '"controls": ["length:12"]')
    return row


def tokens_of(row: dict[str, Any]) -> str:
    """The tokens of a row with blanks between them; empty if it has none."""
    tokens = row.get("tokens")
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        return ""
    return " ".join(tokens)


def some(texts: list[str], count: int | None, seed: int) -> list[str]:
    """`count` texts drawn at random; all if there are no more, or without a count."""
    if count is None or count >= len(texts):
        return texts
    return random.Random(seed).sample(texts, count)
