"""Plain texts from a file: one a line, JSONL, or a corpus."""

from __future__ import annotations

import random
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING

from dlm_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dlm_core.corpora import CorpusReader


def as_corpus(name: str, readers: Mapping[str, CorpusReader]) -> str:
    """A file as READER:PATH: what is no corpus's name is JSONL by its suffix, or lines of text."""
    if name.partition(":")[0] in readers:
        return name
    jsonl = {".jsonl", ".json"} & set(PurePath(name).suffixes)
    return f"{'jsonl' if jsonl else 'text'}:{name}"


def read_texts(name: str, readers: Mapping[str, CorpusReader] | None = None) -> list[str]:
    """The texts of a file, without those that are empty; `-` is stdin, a text a line.

    Raises:
        UsageError, MissingError: it cannot be read, or has none.
    """
    from dlm_core.corpora import READERS, read_corpus

    known = dict(READERS if readers is None else readers)
    if name == "-":
        texts = [" ".join(line.split()) for line in sys.stdin]
    else:
        texts = [example.text for example in read_corpus(as_corpus(name, known), known)]
    texts = [text for text in texts if text.strip()]
    if not texts:
        raise UsageError("stdin: no texts in it")
    return texts


def some(texts: list[str], count: int | None, seed: int) -> list[str]:
    """`count` texts drawn at random; all if there are no more, or without a count."""
    if count is None or count >= len(texts):
        return texts
    return random.Random(seed).sample(texts, count)
