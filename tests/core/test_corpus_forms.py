"""Corpora in the forms in which people have them: marks, columns, arrays; what stands twice."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import pytest

from dlm_core.corpora import Example, parse_mr, read_corpus
from dlm_core.errors import DLMError, MissingError, UsageError

E2E = 'mr,ref\n"name[Café Rouge], food[French]",Café Rouge is a pub .\n'
FILES = {
    "e2e": (E2E, Example("Café Rouge is a pub .", {"name": "Café Rouge", "food": "French"})),
    "text": ("Café Rouge is a pub .\n", Example("Café Rouge is a pub .")),
    "jsonl": ('{"text": "Café Rouge is a pub ."}\n', Example("Café Rouge is a pub .")),
    "labelled": ('{"text": "Café ..", "label": "é"}\n', Example("Café ..", {"label": "é"})),
    "roc": ('["Café Rouge is a pub ."]\n', Example("Café Rouge is a pub .")),
    "csv": (
        'n,text\n"é, 1","Café Rouge is\na pub ."\n',
        Example("Café Rouge is a pub .", {"n": "é, 1"}),
    ),
    "tsv": (
        'text\tn\nCafé "Rouge" is a pub .\té\n',
        Example('Café "Rouge" is a pub .', {"n": "é"}),
    ),
}


def read(path: Path, reader: str, content: str | bytes, encoding: str | None = None):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_corpus(f"{reader}:{path}", encoding=encoding)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "corpus"


@pytest.mark.parametrize("reader", list(FILES))
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_each_reader_takes_byte_order_marks_and_packed_files(reader, encoding, pack, path):
    content, example = FILES[reader]
    assert read(path, reader, pack(content.encode(encoding))) == [example]


@pytest.mark.parametrize("reader", list(FILES))
def test_each_reader_takes_a_named_encoding(reader, path):
    content, example = FILES[reader]
    assert read(path, reader, content.encode("latin-1"), "latin-1") == [example]
    with pytest.raises(UsageError, match=r"line \d: byte 0xe9 is not utf-8"):
        read_corpus(f"{reader}:{path}")


@pytest.mark.parametrize("reader", list(FILES))
def test_each_reader_gives_nfc(reader, path):
    content, example = FILES[reader]
    assert read(path, reader, content.replace("é", "e\u0301")) == [example]


def test_an_accent_escaped_in_json_is_in_nfc_too(path):
    assert read(path, "jsonl", r'{"text": "Cafe\u0301", "n": "e\u0301"}') == [
        Example("Caf\u00e9", {"n": "\u00e9"})
    ]


@pytest.mark.parametrize(
    "header",
    [
        "MR,ref",
        " mr , REF ",
        "meaning_representation,human_reference",
        '"mr","ref"',
        "Mr;Ref",
        "mr\tref",
    ],
)
def test_e2e_takes_its_columns_as_they_go_round(header, path):
    separator = next(s for s in ",;\t" if s in header)
    row = f'"name[The Mill], food[French]"{separator}"The Mill, a pub; yes."'
    wanted = [Example("The Mill, a pub; yes.", {"name": "The Mill", "food": "French"})]
    assert read(path, "e2e", f"{header}\n{row}\n") == wanted


def test_e2e_leaves_other_columns_aside(path):
    content = 'fixed,mr,ref,orig_mr\nTrue,name[A],A .,"name[A], near[B]"\n'
    assert read(path, "e2e", content) == [Example("A .", {"name": "A"})]


def test_e2e_as_diffusion_lm_has_it(path):
    content = (
        "name : The Vaults | Type : pub | price : more than £ 30 | near : Café Adriatic||"
        "The Vaults pub near Café Adriatic . \n"
        "name : Zizzi | family friendly : yes || Zizzi | is : it .\n"
    )
    first, second = read(path, "e2e", content)
    assert first == Example(
        "The Vaults pub near Café Adriatic .",
        {
            "name": "The Vaults",
            "eatType": "pub",
            "priceRange": "more than £ 30",
            "near": "Café Adriatic",
        },
    )
    assert second == Example("Zizzi | is : it .", {"name": "Zizzi", "familyFriendly": "yes"})
    with pytest.raises(UsageError, match="line 2: field 'name' stands twice"):
        read(path, "e2e", "name : A||A\nname : A | name : B||A\n")


def test_roc_as_its_authors_have_it(path):
    header = "storyid,storytitle,sentence1,sentence2,sentence3,sentence4,sentence5"
    assert read(path, "roc", f'{header}\n1,Tea,"Ann, she sat.",B.,C.,D.,E.\n') == [
        Example("Ann, she sat. B. C. D. E.", {"title": "Tea"})
    ]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("reader", ["jsonl", "labelled", "roc"])
def test_one_array_is_read_as_lines_are(reader, indent, path):
    rows = [{"text": "a  b", "label": "x"}, {"text": "c", "label": "y"}]
    wanted = [Example("a b", {"label": "x"}), Example("c", {"label": "y"})]
    assert read(path, reader, json.dumps(rows, indent=indent)) == wanted


def test_a_broken_entry_of_an_array_is_named(path):
    with pytest.raises(UsageError, match="entry 2 of its array: expected an object"):
        read(path, "jsonl", '[{"text": "a"}, {"txt": "b"}]')
    with pytest.raises(UsageError, match="line 1: the array that begins here: not JSON"):
        read(path, "jsonl", '[{"text": "a"},\n {"text": "b"}\n')


def test_columns_that_stand_twice_are_refused_with_both_named(path):
    with pytest.raises(
        UsageError, match=r"line 1: columns 1 \('mr'\) and 2 \('mr'\) both are 'mr'"
    ):
        read(path, "e2e", "mr,MR,ref\nname[A],name[B],A .\n")
    with pytest.raises(UsageError, match=r"2 \('ref'\) and 3 \('human_reference'\)"):
        read(path, "e2e", "mr,ref,human_reference\nname[A],a,b\n")


@pytest.mark.parametrize("reader", ["jsonl", "labelled", "roc"])
def test_a_key_that_stands_twice_is_refused(reader, path):
    row = '{"text": "a", "label": "x", "text": "b"}\n'
    with pytest.raises(UsageError, match="line 2: key 'text' stands twice"):
        read(path, reader, '{"text": "a", "label": "x"}\n' + row)


def test_a_field_that_stands_twice_is_refused_with_both_values(path):
    message = "field 'food' stands twice: 'French' and 'Indian'"
    with pytest.raises(ValueError, match=message):
        parse_mr("name[A], food[French], food[Indian]")
    with pytest.raises(UsageError, match=f"line 2: column 'mr': {message}"):
        read(path, "e2e", 'mr,ref\n"food[French], food[Indian]",a\n')


def test_what_is_empty_is_no_value(path):
    assert parse_mr("name[A], near[], food[ ]") == {"name": "A"}
    row = '{"text": "a", "n": null, "s": "", "blank": " ", "f": 1.5, "zero": 0, "deep": [1]}'
    for reader in ("jsonl", "roc"):
        assert read(path, reader, row) == [Example("a", {"f": "1.5", "zero": "0"})]


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        (["1", "2"], ["1", "2"]),
        ([1, 1.0, 2], ["1", "1", "2"]),
        ([0.5, 1], ["0.5", "1"]),
        ([True, False], ["true", "false"]),
        ([" a  b ", "c"], ["a b", "c"]),
    ],
)
def test_labels_of_one_type(labels, wanted, path):
    rows = "".join(json.dumps({"text": "t", "label": label}) + "\n" for label in labels)
    assert [e.fields["label"] for e in read(path, "labelled", rows)] == wanted


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, "1"], r'line 2: label "1" is a string, and 1 of line 1 is a number'),
        (["a", "b", True], r'line 3: label true is a boolean, and "a" of line 1 is a string'),
        ([1.0, True], r"line 2: label true is a boolean, and 1.0 of line 1 is a number"),
        (["a", None], "line 2: key 'label' is null: expected a string, number or boolean"),
        (["a", ""], "line 2: key 'label' is \"\": expected"),
        (["a", ["b"]], r"line 2: key 'label' is \[\"b\"\]: expected"),
    ],
)
def test_labels_of_several_types_or_none_are_refused(labels, message, path):
    rows = "".join(json.dumps({"text": "t", "label": label}) + "\n" for label in labels)
    with pytest.raises(UsageError, match=message):
        read(path, "labelled", rows)


def test_a_label_that_is_not_there_is_told(path):
    with pytest.raises(UsageError, match="line 2: key 'label' is missing"):
        read(path, "labelled", '{"text": "t", "label": "a"}\n{"text": "t"}\n')


STORIES = "storyid,storytitle,sentence1,sentence2,sentence3,sentence4,sentence5\n"


@pytest.mark.parametrize(
    ("reader", "content", "fits"),
    [
        ("text", '{"text": "a"}\n', "jsonl"),
        ("text", '{"text": "a", "label": "b"}\n', "labelled"),
        ("text", '[\n  {\n    "text": "a"}]\n', "jsonl"),
        ("text", '["Once . Twice ."]\n["b"]\n', "roc"),
        ("text", E2E, "e2e"),
        ("text", "mr;ref\nname[A];a\n", "e2e"),
        ("text", "name : A | food : B||A .\n", "e2e"),
        ("text", STORIES + "1,T,A,B,C,D,E\n", "roc"),
        ("jsonl", E2E, "e2e"),
        ("labelled", '["a"]\n', "roc"),
        ("jsonl", '{"sentences": ["a"]}\n', "roc"),
        ("e2e", '{"text": "a"}\n', "jsonl"),
        ("e2e", '["a"]\n', "roc"),
        ("e2e", STORIES + "1,T,A,B,C,D,E\n", "roc"),
        ("roc", E2E, "e2e"),
    ],
)
def test_a_file_of_another_format_names_the_reader_that_fits(reader, content, fits, path):
    with pytest.raises(UsageError) as caught:
        read(path, reader, content)
    assert caught.value.hint == f"it looks written for the reader '{fits}': {fits}:PATH"


@pytest.mark.parametrize("text", ["[ a ] b", "{ curly }", 'he said "a": b', "Mr Ref, a b", "a||b"])
def test_plain_texts_with_odd_signs_are_texts(text, path):
    assert read(path, "text", text) == [Example(text)]


@pytest.mark.parametrize("reader", ["jsonl", "labelled", "roc"])
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[" * 100_000, "nested too deep"),
        ('{"text": "x \\ud800 y", "label": "a"}', "half a surrogate pair"),
        ('{"text": "a", "label": "a", "n": NaN}', "NaN is no JSON number"),
        ('{"text": "a", "label": "a", "n": 1e999}', "too large"),
    ],
)
def test_odd_json_is_a_broken_row(reader, line, message, path):
    good = '{"text": "a", "label": "b"}\n'
    with pytest.raises(UsageError, match=rf"corpus, line 2: .*{message}"):
        read(path, reader, good + line + "\n" + good)


def test_a_row_that_needs_quotes_is_told_so(path):
    with pytest.raises(UsageError, match="line 2: a row of 3") as caught:
        read(path, "e2e", "mr,ref\nname[A],one, two\n")
    assert caught.value.hint == "quote a cell that holds ','"


def test_rows_over_several_lines_are_told_by_their_line(path):
    content = 'mr,ref\n"name[A]","one\ntwo"\n"name[B]",\n'
    with pytest.raises(UsageError, match="line 4: column 'ref' is empty"):
        read(path, "e2e", content)


def test_a_plugins_reader_may_take_the_encoding_or_only_a_path(path):
    def old(path):
        yield Example(path.read_text())

    def new(path, encoding=None):
        yield Example(path.read_text(encoding))

    path.write_bytes("é\n".encode("latin-1"))
    readers = {"old": old, "new": new}
    assert read_corpus(f"new:{path}", readers, "latin-1") == [Example("é\n")]
    with pytest.raises(UsageError, match="reader 'old' takes no encoding"):
        read_corpus(f"old:{path}", readers, "latin-1")


def test_only_empty_texts_are_no_corpus(path):
    with pytest.raises(DLMError, match="no texts in it"):
        read(path, "jsonl", '{"text": " "}\n')


def test_a_home_folder_of_nobody_is_told():
    with pytest.raises(MissingError, match="no such user"):
        read_corpus("text:~no-such-user-here/a.txt")


def test_a_column_that_lacks_is_named(path):
    with pytest.raises(UsageError, match=r"expected columns mr,ref, found mr$") as caught:
        read(path, "e2e", "MR\nname[A]\n")
    assert caught.value.hint == "call a column 'ref'"
