"""`READER:PATH` to texts."""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path
from typing import Any

from dlm_core.calling import WrongReturnError, each, expect, owner_of, plugin_name
from dlm_core.corpora.columns import split_options
from dlm_core.corpora.commongen import read_commongen
from dlm_core.corpora.delimited import read_csv, read_tsv
from dlm_core.corpora.example import CorpusReader, Example
from dlm_core.corpora.hub import read_hub, read_parquet
from dlm_core.corpora.rows import read_jsonl, read_labelled, read_text
from dlm_core.corpora.tables import read_e2e, read_roc
from dlm_core.errors import MissingError, UsageError, did_you_mean
from dlm_core.text import normal

READERS: dict[str, CorpusReader] = {
    "e2e": read_e2e,
    "roc": read_roc,
    "text": read_text,
    "jsonl": read_jsonl,
    "labelled": read_labelled,
    "csv": read_csv,
    "tsv": read_tsv,
    "parquet": read_parquet,
    "hub": read_hub,
    "commongen": read_commongen,
}


def read_corpus(
    name: str, readers: dict[str, CorpusReader] | None = None, encoding: str | None = None
) -> list[Example]:
    """Read `READER:PATH` whole, in NFC.

    Args:
        name: for example `e2e:../data/train.csv.gz`; the file may be packed with gzip, bzip2 or xz.
            Behind `#` stand options of the reader: `csv:mine.csv#text=review`.
        readers: the known readers; the built-in ones if omitted.
        encoding: of the file; UTF-8, or what its byte order mark says, if omitted.

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
    path, given = _arguments(known[kind], kind, path, encoding)
    read = partial(known[kind], **given)
    try:
        place = Path(path).expanduser()
    except RuntimeError as error:  # ~somebody
        raise MissingError(f"cannot read the corpus {path}: no such user") from error
    subject = plugin_name("corpus", kind, owner_of(known[kind]))
    examples = list(each(subject, "example", lambda: read(place), _checked))
    if not any(example.text for example in examples):
        raise UsageError(f"corpus '{name}': no texts in it")
    return examples


def _checked(example: object) -> Example:
    """In NFC: JSON may hold an accent as an escape of its own, and a plugin reads as it likes."""
    found = expect(example, Example, "an Example")
    if fault := found.fault:
        raise WrongReturnError(*fault)
    fields = {normal(k): normal(v) for k, v in found.fields.items()}
    return Example(normal(found.text), fields, tuple(map(normal, found.sentences)))


def _arguments(
    read: CorpusReader, kind: str, path: str, encoding: str | None
) -> tuple[str, dict[str, Any]]:
    """The path alone, and what else the reader is given; one of a plugin may take nothing else."""
    takes = inspect.signature(read).parameters
    given: dict[str, Any] = {}
    if "options" in takes:
        path, given["options"] = split_options(path)
    elif (found := split_options(path))[1] and Path(found[0]).exists():
        raise UsageError(
            f"corpus '{kind}:{path}': reader '{kind}' has no columns to name", f"{kind}:{found[0]}"
        )
    if encoding is not None:
        if "encoding" not in takes:
            raise UsageError(
                f"option '--encoding': reader '{kind}' takes no encoding", "save the file as UTF-8"
            )
        given["encoding"] = encoding
    return path, given
