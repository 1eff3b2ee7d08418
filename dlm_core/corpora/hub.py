"""Parquet files, and data sets of the Hugging Face hub, by the package `datasets`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dlm_core.corpora.columns import TEXT, choose
from dlm_core.corpora.example import Example, broken, scalar_fields, spaced
from dlm_core.errors import DLMError, MissingError, UsageError

INSTALL = 'pip install "dlm[data]"'


def read_parquet(path: Path, options: Mapping[str, str] | None = None) -> Iterator[Example]:
    """A Parquet file, or a folder of them: a column of texts, the others their fields.

    Raises:
        MissingError: it is not there, or `datasets` is not installed.
        UsageError: it is no Parquet, or has no such column.
    """
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files or not files[0].exists():
        what = "no *.parquet in it" if path.is_dir() else "no such file"
        raise MissingError(f"cannot read the corpus {path}: {what}")
    load = _datasets().load_dataset
    with tempfile.TemporaryDirectory() as cache:  # what it unpacks is read once
        names = [str(file) for file in files]
        data = _told(
            path, lambda: load("parquet", data_files=names, split="train", cache_dir=cache)
        )
        yield from _examples(path, data, options or {})


def read_hub(path: Path, options: Mapping[str, str] | None = None) -> Iterator[Example]:
    """A data set of the hub, or a folder that `datasets` can load.

    Args:
        path: its name (`owner/name`), or a folder.
        options: `split` (`train`, or the only one, if omitted), `config`, and columns.

    Raises:
        MissingError: it cannot be had, or `datasets` is not installed.
        UsageError: it has no such split, config or column.
    """
    datasets = _datasets()
    columns = dict(options or {})
    split, config = columns.pop("split", None), columns.pop("config", None)
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        data = _told(path, lambda: datasets.load_from_disk(str(path)))
        if split is not None and isinstance(data, dict):
            data = {name: part for name, part in data.items() if name == split} or data
    else:
        data = _told(path, lambda: datasets.load_dataset(str(path), config, split=split))
    if isinstance(data, dict):
        wanted = split or ("train" if "train" in data or len(data) > 1 else next(iter(data)))
        if wanted not in data:
            raise UsageError(f"{path} has no split '{wanted}'", f"#split={'|'.join(data)}")
        data = data[wanted]
    yield from _examples(path, data, columns)


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingError("this needs datasets, which is not installed", INSTALL) from error
    return datasets


def _told(path: Path, load: Any) -> Any:
    """What `load` gives; its errors in a line."""
    try:
        return load()
    except Exception as error:  # of datasets, pyarrow, huggingface_hub, httpx and others
        cause = error.__cause__ if "generating the dataset" in str(error) else None
        reason = (str(cause or error).strip() or type(error).__name__).splitlines()[0]
        kind: type[DLMError] = UsageError if isinstance(error, ValueError) else MissingError
        raise kind(
            f"cannot read the corpus {path}: {reason}",
            "a data set of the hub is hub:OWNER/NAME#config=NAME,split=NAME"
            if not path.exists()
            else "lines and tables are for other readers: text, jsonl, csv, tsv"
            if path.is_file()
            else None,
        ) from error


def _examples(path: Path, data: Any, options: Mapping[str, str]) -> Iterator[Example]:
    from datasets import ClassLabel, Value

    kinds = {
        name: kind for name, kind in data.features.items() if isinstance(kind, Value | ClassLabel)
    }
    columns = choose(path, "its columns", list(kinds), options)
    labels = {name: kind for name, kind in kinds.items() if isinstance(kind, ClassLabel)}
    for number, row in enumerate(data.select_columns(list(columns.values())), 1):
        values = {field: _value(row[name], labels.get(name)) for field, name in columns.items()}
        text = values.pop(TEXT)
        if not isinstance(text, str | None):
            what = f"column '{columns[TEXT]}' is {text!r}, not a text"
            raise broken(path, f"row {number}", what, f"say which it is: #{TEXT}=COLUMN")
        yield Example(spaced(text or ""), scalar_fields(values, without=()))


def _value(value: Any, label: Any) -> Any:
    """A cell; of a column of labels the label's name, or None where it has none (-1)."""
    if label is None or value is None:
        return value
    return label.int2str(value) if value >= 0 else None
