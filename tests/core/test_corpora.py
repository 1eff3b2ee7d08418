"""Corpus readers: formats, gzip, meaning representations, and broken files named by line."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_core.corpora import Example, parse_mr, read_corpus
from dlm_core.errors import MissingError, UsageError

NAMES = st.text(
    st.characters(categories=["L", "Nd"], include_characters=" -"), min_size=1, max_size=8
)
VALUES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="]"), max_size=10)
MR = st.dictionaries(NAMES.map(str.strip).filter(bool), VALUES, min_size=1, max_size=5)


def write(path: Path, content: str | bytes) -> Path:
    data = content.encode() if isinstance(content, str) else content
    if path.suffix == ".gz":
        data = gzip.compress(data)
    path.write_bytes(data)
    return path


@given(fields=MR)
def test_a_meaning_representation_comes_back(fields: dict[str, str]) -> None:
    stated = {k: v for k, v in fields.items() if v}
    assert parse_mr(", ".join(f"{k}[{v}]" for k, v in fields.items())) == stated


def test_the_official_form_of_a_meaning_representation() -> None:
    mr = "name[The Mill], customer rating[5 out of 5], familyFriendly[yes], near[Café Rouge]"
    assert parse_mr(mr) == {
        "name": "The Mill",
        "customer rating": "5 out of 5",
        "familyFriendly": "yes",
        "near": "Café Rouge",
    }


@pytest.mark.parametrize("mr", ["", "name", "name[", "name[The Mill] food", "[x]", "name]x["])
def test_what_is_no_meaning_representation_is_refused(mr: str) -> None:
    with pytest.raises(ValueError, match=r"expected FIELD\[VALUE\]|no facts"):
        parse_mr(mr)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_each_reader_reads_plain_and_gzip(tmp_path: Path, suffix: str) -> None:
    e2e = 'mr,ref\n"name[The Mill], food[French]","The Mill , a  pub ."\n'
    files = {
        "e2e": (e2e, [Example("The Mill , a pub .", {"name": "The Mill", "food": "French"})]),
        "text": ("one  two\n\nthree\n", [Example("one two"), Example("three")]),
        "jsonl": (
            '{"text": "one  two", "label": "A", "n": 3, "skip": [1]}\n',
            [Example("one two", {"label": "A", "n": "3"})],
        ),
        "roc": (
            '["One. Two."]\n{"text": "Three.", "cased": true}\n'
            '{"title": "T", "sentences": ["Four.", "Five."]}\n',
            [
                Example("One. Two."),
                Example("Three.", {"cased": "True"}),
                Example("Four. Five.", {"title": "T"}),
            ],
        ),
    }
    for reader, (content, expected) in files.items():
        path = write(tmp_path / f"{reader}.txt{suffix}", content)
        assert read_corpus(f"{reader}:{path}") == expected


@given(
    rows=st.lists(st.tuples(MR, st.lists(VALUES.filter(bool), min_size=1)), min_size=1, max_size=4)
)
def test_e2e_rows_survive_quoting(
    rows: list[tuple[dict[str, str], list[str]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["mr", "ref"])
    for fields, words in rows:
        writer.writerow([", ".join(f"{k}[{v}]" for k, v in fields.items()), " ".join(words)])
    path = write(tmp_path_factory.mktemp("e2e") / "a.csv", stream.getvalue())
    stated = [{k: v for k, v in fields.items() if v} for fields, _ in rows]
    texts = [" ".join(words) for _, words in rows]
    expected = [Example(*row) for row in zip(texts, stated, strict=True)]
    assert read_corpus(f"e2e:{path}") == expected


BROKEN = {
    "other columns": ("e2e", "a,b\n1,2\n", "line 1: expected columns mr,ref"),
    "a short row": (
        "e2e",
        "mr,ref\nname[A],a\nname[B]\n",
        "line 3: a row of 1, where the header has 2 columns",
    ),
    "a long row": (
        "e2e",
        "mr,ref\nname[A],a,b\n",
        "line 2: a row of 3, where the header has 2 columns",
    ),
    "an empty text": ("e2e", "mr,ref\nname[A],\n", "line 2: column 'ref' is empty"),
    "a broken mr": ("e2e", "mr,ref\nname[A],a\nname,b\n", "line 3: column 'mr'"),
    "an open quote": ("e2e", 'mr,ref\nname[A],"a\n', "line 2: a quote is not closed"),
    "no json": ("jsonl", '{"text": "a"}\n{"text"\n', "line 2: not JSON"),
    "no text": ("jsonl", '{"text": 5}\n', "line 1: expected an object with a string 'text'"),
    "a bare string": ("jsonl", '"a"\n', "line 1: expected an object"),
    "an empty story": ("roc", '["a"]\n\n[]\n', "line 3: expected "),
    "sentences of numbers": ("roc", '{"sentences": [1]}\n', "line 1: expected "),
    "a story of numbers": ("roc", "[1]\n", "line 1: expected "),
    "a broken story": ("roc", '["a"\n', "line 1: not JSON"),
}


@pytest.mark.parametrize("case", list(BROKEN))
def test_a_broken_row_is_named_by_file_and_line(case: str, tmp_path: Path) -> None:
    reader, content, message = BROKEN[case]
    path = write(tmp_path / "broken.txt", content)
    with pytest.raises(UsageError) as caught:
        read_corpus(f"{reader}:{path}")
    assert caught.value.message.startswith(f"{path}, {message}")


@pytest.mark.parametrize("reader", ["e2e", "text", "jsonl", "roc"])
def test_bytes_that_are_no_utf_8_are_named(reader: str, tmp_path: Path) -> None:
    path = write(tmp_path / "latin", b"mr,ref\n\xe9\xff\n")
    with pytest.raises(UsageError, match=r"latin, line \d"):
        read_corpus(f"{reader}:{path}")


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("reader", ["e2e", "text"])
def test_a_damaged_packed_file_is_named(
    reader: str, damage: str, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    header = "mr,ref\n" if reader == "e2e" else ""
    rows = header + "".join(f"name[A{i}],text number {i * i}\n" for i in range(500))
    data = bytearray(pack(rows.encode()))
    if damage == "truncated":
        data = data[: len(data) // 2]
    else:
        data[len(data) // 2 : len(data) // 2 + 40] = b"\xff" * 40
    path = tmp_path / "a.csv.gz"
    path.write_bytes(bytes(data))
    with pytest.raises(UsageError, match=r"a\.csv\.gz, line \d+: damaged"):
        read_corpus(f"{reader}:{path}")


@pytest.mark.parametrize("name", ["nothing.csv", "nothing.csv.gz", "."])
def test_a_missing_file_or_a_folder_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="cannot read") as caught:
        read_corpus(f"text:{tmp_path / name}")
    assert str(tmp_path) in caught.value.message


def test_names_of_corpora_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected READER:PATH"):
        read_corpus("train.csv")
    with pytest.raises(UsageError, match="unknown reader 'e2'") as caught:
        read_corpus("e2:train.csv")
    assert caught.value.hint == "did you mean 'e2e'?"
    with pytest.raises(UsageError, match="no texts in it"):
        read_corpus(f"text:{write(tmp_path / 'empty', '')}")


def test_a_plugins_reader_is_used(tmp_path: Path) -> None:
    def read(path: Path):  # type: ignore[no-untyped-def]
        yield from (Example(word) for word in json.loads(path.read_text()))

    path = write(tmp_path / "a.json", '["x", "y"]')
    assert read_corpus(f"mine:{path}", {"mine": read}) == [Example("x"), Example("y")]


@pytest.mark.parametrize(("split", "count"), [("train", 42_061), ("valid", 4_672)])
def test_the_e2e_files_are_read_whole(split: str, count: int, shared: Path) -> None:
    examples = read_corpus(f"e2e:{shared / f'data/e2e/{split}.csv.gz'}")
    assert len(examples) == count
    assert all(e.text and e.fields.get("name") for e in examples)


@pytest.mark.parametrize(("split", "count"), [("train", 58_704), ("valid", 2_500)])
def test_the_roc_files_are_read_whole(split: str, count: int, shared: Path) -> None:
    assert len(read_corpus(f"roc:{shared / f'data/roc/{split}.jsonl.gz'}")) == count
