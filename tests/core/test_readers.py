"""Readers of anybody's tables: CSV, TSV, CommonGen, Parquet, hub; columns, headers, faults."""

from __future__ import annotations

import csv
import gzip
import io
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_core.corpora import Example, read_corpus
from dlm_core.corpora.columns import split_options
from dlm_core.errors import MissingError, UsageError

CELLS = st.text(
    st.characters(exclude_categories=["C", "Z"], include_characters=' ,;"=\n'), max_size=12
)
REVIEWS = 'id,review,stars\n1,"Good, and ""cheap"".",5\n2,"Key=value, no.",\n3,,1\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "corpus"


def read(path: Path, reader: str, content: str, options: str = "") -> list[Example]:
    path.write_text(content, encoding="utf-8")
    return read_corpus(f"{reader}:{path}{options}")


def test_columns_are_chosen_and_the_others_are_fields(path: Path) -> None:
    assert read(path, "csv", REVIEWS, "#text=review,label=stars") == [
        Example('Good, and "cheap".', {"label": "5", "id": "1"}),
        Example("Key=value, no.", {"id": "2"}),
        Example("", {"label": "1", "id": "3"}),
    ]
    rows = '{"body": "a", "stars": 5, "n": 1}\n{"body": "b", "n": 2}\n'
    assert read(path, "jsonl", rows, "#text=body,label=stars") == [
        Example("a", {"label": "5", "n": "1"}),
        Example("b", {"n": "2"}),
    ]


@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5))
def test_what_pythons_csv_writes_comes_back(
    rows: list[tuple[str, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    stream = io.StringIO()
    csv.writer(stream).writerows([("text", "a b", "c,d"), *rows])
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_text(stream.getvalue(), encoding="utf-8")
    wanted = [[" ".join(cell.split()) for cell in row] for row in rows]
    if not any(text for text, _, _ in wanted):
        with pytest.raises(UsageError, match="no texts in it"):
            read_corpus(f"csv:{path}")
        return
    found = [(e.text, e.fields.get("a b", ""), e.fields.get("c,d", "")) for e in
             read_corpus(f"csv:{path}")]  # fmt: skip
    assert found == [tuple(row) for row in wanted]


@pytest.mark.parametrize(
    ("name", "place", "options"),
    [
        ("a.csv", "a.csv", {}),
        ("a#b.csv", "a#b.csv", {}),
        ("a.csv#text=b", "a.csv", {"text": "b"}),
        ("a#1.csv#text=a b,label= c", "a#1.csv", {"text": "a b", "label": "c"}),
        ('a.csv#text="a, b",label=c', "a.csv", {"text": "a, b", "label": "c"}),
        ("o/n#split=train[:10%]", "o/n", {"split": "train[:10%]"}),
    ],
)
def test_what_stands_behind_the_mark(name: str, place: str, options: dict[str, str]) -> None:
    assert split_options(name) == (place, options)


@pytest.mark.parametrize("name", ["a#text=", "a#text=b,,", "a#text=b,c", "a#=b"])
def test_options_that_cannot_be_read_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="expected FIELD=COLUMN") as caught:
        split_options(name)
    assert caught.value.hint == "READER:PATH#text=COLUMN,label=COLUMN"


def test_a_field_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="'text' stands twice: 'b' and 'c'"):
        split_options("a#text=b,text=c")


def test_a_file_that_is_called_so_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a#text=b"
    assert read(path, "csv", "text\na\n") == [Example("a")]


def test_numbers_are_the_columns_of_a_file_without_a_header(path: Path) -> None:
    rows = "a good film\t1\tx\nbad\t0\ty\n"
    assert read(path, "tsv", rows, "#text=1,label=2") == [
        Example("a good film", {"label": "1"}),
        Example("bad", {"label": "0"}),
    ]
    assert read(path, "csv", "a,1\nb,0\n", "#text=1") == [Example("a"), Example("b")]
    with pytest.raises(UsageError, match="line 1: no column '4'"):
        read(path, "tsv", rows, "#text=4")


def test_quotes_of_a_tsv_are_text_unless_they_are_a_cells_own(path: Path) -> None:
    rows = 'text\tn\n"Stop!" he said.\t"5 "" pipe"\n"He said ""no""."\t"a\n'
    assert read(path, "tsv", rows) == [
        Example('"Stop!" he said.', {"n": '5 " pipe'}),
        Example('He said "no".', {"n": '"a'}),
    ]


@pytest.mark.parametrize(
    ("reader", "content", "options", "message", "hint"),
    [
        ("csv", "text,a\nx\n", "", "line 2: a row of 1, where the first has 2", "quote a cell"),
        ("csv", "text\na, b\n", "", "line 2: a row of 2, where the first has 1", "holds ','"),
        ("tsv", "text\ta\nx\ty\tz\n", "", "line 2: a row of 3", "go into a CSV"),
        (
            "csv",
            'text\na\n"b\n\nc\nd\n',
            "",
            "line 3: a quote is not closed",
            "close it, or double",
        ),
        ("csv", "text,a,a\nx,y,z\n", "", "line 1: 2 columns are called 'a': 2 and 3", "leave one"),
        ("csv", "txt,a\nx,y\n", "", "no column is called 'text': txt, a", "#text=a; of a file"),
        ("csv", "review,a\nx,y\n", "#text=reviw", "no column 'reviw'", "did you mean 'review'?"),
        ("csv", "mr,ref\nname[A],a\n", "", "no column is called", "say which it is: #text=ref"),
        ("text", "text,label\na,b\n", "", "no file of plain texts", "the reader 'csv'"),
        ("text", "a b\t1\nc d\t0\n", "", "no file of plain texts", "the reader 'tsv'"),
        ("csv", "text\na\0b\n", "", "line 2: a NUL character", "utf-16-le"),
        ("jsonl", '{"body": "a"}\n', "#text=bodi", "a string 'bodi'", "=KEY; did you mean 'body'?"),
        (
            "jsonl",
            '{"text": "a", "n": 1}\n',
            "#label=m",
            "no row has the key 'm'",
            "known: text, n",
        ),
        ("jsonl", "a text .\n", "", "line 1: not JSON", "the reader 'text': text:PATH"),
        ("roc", "a text .\n", "", "line 1: not JSON", "the reader 'text': text:PATH"),
        ("csv", '{"text": "a", "label": "b"}\n', "", "is no table", "the reader 'labelled'"),
        ("tsv", '["A story . It ends ."]\n', "", "is no table", "the reader 'roc'"),
        ("tsv", "text,label\na,b\n", "", "cells parted by tabs", "the reader 'csv'"),
        ("tsv", "mr,ref\nname[A],a\n", "#text=ref", "cells parted by tabs", "the reader 'e2e'"),
        ("text", "a\n", "#text=1", "reader 'text' has no columns to name", "text:"),
        ("csv", "", "", "no texts in it", ""),
        ("e2e", "\n\n", "", "no texts in it", ""),
        ("csv", "text\na\n", "#text", "expected FIELD=COLUMN at 'text'", "#text=COLUMN"),
    ],
)
def test_faults_are_told_with_their_line(
    reader: str, content: str, options: str, message: str, hint: str, path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        read(path, reader, content, options)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_columns_without_a_name_are_left_aside(path: Path) -> None:
    assert read(path, "csv", "text,,\na,1,2\n") == [Example("a")]


def test_a_nul_in_another_encoding_is_told(path: Path) -> None:
    path.write_bytes("text\na b\n".encode("utf-16-le"))
    with pytest.raises(UsageError, match="line 1: a NUL character"):
        read_corpus(f"csv:{path}", encoding="latin-1")


@pytest.mark.parametrize("text", ["one, two", "one\ttwo", "a text, here\nanother, there"])
def test_plain_texts_with_separators_stay_texts(text: str, path: Path) -> None:
    assert len(read(path, "text", text)) == text.count("\n") + 1


# -- CommonGen ---------------------------------------------------------------------------------


def commongen(folder: Path, sentences: str, concepts: str, pack: bool = False) -> None:
    for name, content in (("tgt", sentences), ("src_alpha", concepts)):
        data = content.encode("utf-8-sig")
        place = folder / f"commongen.train.{name}.txt{'.gz' if pack else ''}"
        place.write_bytes(gzip.compress(data) if pack else data)


@pytest.mark.parametrize("pack", [False, True])
def test_sentences_come_with_their_concepts(tmp_path: Path, pack: bool) -> None:
    commongen(tmp_path, "A dog runs.\nA cat sits.", "dog run\ncat  sit\n", pack)
    wanted = [
        Example("A dog runs.", {"concepts": "dog run"}),
        Example("A cat sits.", {"concepts": "cat sit"}),
    ]
    assert read_corpus(f"commongen:{tmp_path}") == wanted
    file = next(tmp_path.glob("*tgt*"))
    assert read_corpus(f"commongen:{file}") == wanted
    with pytest.raises(MissingError, match=r"no file 'commongen\.dev\.src_alpha\.txt' beside it"):
        read_corpus(f"commongen:{tmp_path}#split=dev")
    with pytest.raises(UsageError, match="no option is called 'spilt'"):
        read_corpus(f"commongen:{tmp_path}#spilt=dev")
    with pytest.raises(MissingError, match="is not called as"):
        read_corpus(f"commongen:{tmp_path / 'other.txt'}")


@pytest.mark.parametrize(
    ("sentences", "concepts", "message"),
    [
        ("A.\nB.\n", "a\n", r"src_alpha\.txt, line 2: the file ends here"),
        ("A.\n", "a\nb\n", r"tgt\.txt, line 2: the file ends here"),
        ("A.\n\nB.\n", "a\nb\nc\n", r"tgt\.txt, line 2: an empty line"),
        ("A.\nB.\n", "a\n\n", r"src_alpha\.txt, line 2: an empty line"),
    ],
)
def test_files_that_do_not_go_together(
    tmp_path: Path, sentences: str, concepts: str, message: str
) -> None:
    commongen(tmp_path, sentences, concepts)
    with pytest.raises(UsageError, match=message):
        read_corpus(f"commongen:{tmp_path}")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("tsv:sst2/sent_train.tsv.gz#text=1,label=2", 6_920),
        ("commongen:commongen", 39_069),
        ("commongen:commongen/commongen.dev.tgt.txt.gz", 4_018),
    ],
)
def test_released_files_are_read_whole(name: str, count: int, shared: Path) -> None:
    reader, _, place = name.partition(":")
    examples = read_corpus(f"{reader}:{shared / 'data' / place}")
    assert len(examples) == count
    assert all(e.text and len(e.fields) == 1 for e in examples)
    if reader == "tsv":
        assert {e.fields["label"] for e in examples} == {"0", "1"}


# -- by `datasets` -----------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path):  # type: ignore[no-untyped-def]
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    kinds = datasets.Features(
        {
            "sentence": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["bad", "good"]),
            "n": datasets.Value("float64"),
            "tags": datasets.List(datasets.Value("string")),
        }
    )
    rows = {
        "sentence": ["Cafe\u0301  one", "two", None],
        "label": [0, 1, -1],
        "n": [1.0, float("nan"), 2.5],
        "tags": [[], ["x"], []],
    }
    return datasets.Dataset.from_dict(rows, features=kinds)


ROWS = [
    Example("Caf\u00e9 one", {"label": "bad", "n": "1"}),
    Example("two", {"label": "good"}),
    Example("", {"n": "2.5"}),
]


def test_parquet_and_saved_data_sets(data, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    import datasets

    (tmp_path / "folder").mkdir()
    data.to_parquet(tmp_path / "folder" / "train.parquet")
    data.save_to_disk(tmp_path / "saved")
    datasets.DatasetDict({"a": data, "b": data.select([1])}).save_to_disk(tmp_path / "splits")
    for name in ("parquet:folder/train.parquet", "parquet:folder", "hub:folder", "hub:saved"):
        reader, _, place = name.partition(":")
        assert read_corpus(f"{reader}:{tmp_path / place}#text=sentence") == ROWS
    assert read_corpus(f"hub:{tmp_path / 'splits'}#text=sentence,split=b") == ROWS[1:2]
    with pytest.raises(UsageError, match="has no split 'train'") as caught:
        read_corpus(f"hub:{tmp_path / 'splits'}#text=sentence")
    assert caught.value.hint == "#split=a|b"
    with pytest.raises(UsageError, match="no column is called 'text': sentence, label, n"):
        read_corpus(f"parquet:{tmp_path / 'folder'}")
    with pytest.raises(UsageError, match=r"row 1: column 'n' is 1\.0, not a text"):
        read_corpus(f"parquet:{tmp_path / 'folder'}#text=n")
    with pytest.raises(UsageError, match="Unknown split"):
        read_corpus(f"hub:{tmp_path / 'folder'}#text=sentence,split=dev")
    with pytest.raises(UsageError, match="takes no encoding"):
        read_corpus(f"parquet:{tmp_path / 'folder'}", encoding="latin-1")


def test_what_is_no_parquet_or_not_there(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "empty").mkdir()
    path = tmp_path / "a.parquet"
    path.write_text("text\na\nb c d\n")
    with pytest.raises(UsageError, match=r"cannot read the corpus .*Parquet magic bytes"):
        read_corpus(f"parquet:{path}")
    with pytest.raises(MissingError, match=r"no \*\.parquet in it"):
        read_corpus(f"parquet:{tmp_path / 'empty'}")
    with pytest.raises(MissingError, match="no such file"):
        read_corpus(f"parquet:{tmp_path / 'none'}")
    path.write_bytes(b"PAR1")
    with pytest.raises(UsageError, match="a Parquet file") as caught:
        read_corpus(f"text:{path}")
    assert "parquet:PATH" in str(caught.value.hint)


@pytest.mark.parametrize("reader", ["parquet", "hub"])
def test_without_datasets_it_is_said_what_to_install(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    (tmp_path / "a.parquet").touch()
    with pytest.raises(MissingError, match="datasets, which is not installed") as caught:
        read_corpus(f"{reader}:{tmp_path / 'a.parquet'}")
    assert caught.value.hint == 'pip install "dlm[data]"'


def test_lists_of_a_row_are_told_to_be_no_fields(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"text": "a", "tags": ["x", "y"], "n": 1}\n{"text": "b", "tags": []}\n' * 2)
    assert [e.fields for e in read_corpus(f"jsonl:{path}")][:2] == [{"n": "1"}, {}]
    assert [r.message for r in caplog.records] == [
        f"{path}: no field is made of key 'tags', a list or an object in 4 rows"
    ]
