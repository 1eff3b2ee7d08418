"""What opens text: encodings, packed files, lines, JSON; and one form of an accent everywhere."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import threading

import pytest

from dlm_core.config import load_toml
from dlm_core.errors import MissingError, UsageError
from dlm_core.text import load_json, normal_all, open_bytes, read_lines, read_text

TEXT = "Café one\r\n\ntwo £ 20\n三"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_marks_and_packing_are_known_by_content(tmp_path, encoding, pack):
    path = tmp_path / "any.name"
    path.write_bytes(pack(TEXT.encode(encoding)))
    assert read_text(path) == TEXT
    assert [n for n, _ in read_lines(path)] == [1, 2, 3, 4]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16-le", "utf-16-be", "utf-8"])
def test_another_encoding_can_be_named(tmp_path, encoding):
    path = tmp_path / "a.txt"
    path.write_bytes("Café £ 20\n".encode(encoding))
    assert read_text(path, encoding) == "Café £ 20\n"


def test_a_named_encoding_leaves_no_mark_in_the_text(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("a\n".encode("utf-8-sig"))
    assert read_text(path, "utf-8") == "a\n"


@pytest.mark.parametrize("name", ["latin-77", "hex", "no\0name", ""])
def test_a_name_of_no_encoding_is_told(tmp_path, name):
    path = tmp_path / "a.txt"
    path.write_bytes(b"a\n")
    with pytest.raises(UsageError, match="no encoding is called"):
        read_text(path, name)


def test_a_bad_byte_is_told_with_its_own_line(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"good .\ngood .\nb\x85d .\ngood .\n")
    with pytest.raises(UsageError, match=r"a\.txt, line 3: byte 0x85 is not utf-8") as caught:
        read_text(path)
    assert "--encoding" in caught.value.hint
    path.write_bytes("ਊਊ\ngood\n".encode("utf-16-le") + b"\x00\xd8\n\x00")  # U+0A0A is no line end
    with pytest.raises(UsageError, match="line 3: byte 0x00 is not utf-16"):
        read_text(path, "utf-16-le")


def test_utf_16_without_a_mark_is_told(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("plain words\n".encode("utf-16-le"))
    with pytest.raises(UsageError, match="line 1: a NUL character") as caught:
        read_text(path)
    assert "--encoding utf-16-le" in caught.value.hint


def test_carriage_returns_alone_end_lines(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\rtwo\rthree")
    assert list(read_lines(path)) == [(1, "one\r"), (2, "two\r"), (3, "three")]


@pytest.mark.parametrize(
    ("start", "what"),
    [(b"PK\x03\x04", "zip"), (b"(\xb5/\xfd", "zstd"), (b"PAR1", "Parquet"), (b"%PDF-1.7", "PDF")],
)
def test_what_is_no_text_is_called_by_its_name(tmp_path, start, what):
    path = tmp_path / "a.txt"
    path.write_bytes(start + b"\0\xff\0")
    with pytest.raises(UsageError, match=rf"a\.txt is no text, but .*{what}"):
        read_text(path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_pipe_is_read_whole(tmp_path, pack):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(pack(b"one\ntwo\n"),))
    writer.start()
    assert read_text(path) == "one\ntwo\n"
    writer.join()


def test_what_cannot_be_opened_is_told_as_such(tmp_path):
    with pytest.raises(MissingError, match=r"cannot read .*nothing: No such file"):
        open_bytes(tmp_path / "nothing")
    with pytest.raises(MissingError, match="Is a directory"):
        open_bytes(tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"a": 1, "a": 2}', "key 'a' stands twice"),
        ('{"x": {"a": 1, "a": 2}}', "key 'a' stands twice"),
        ("[" * 100_000, "nested too deep"),
        ('{"a":' * 100_000, "nested too deep"),
        ('{"text": "x \\ud800 y"}', "half a surrogate pair"),
        ('{"\\udfff": 1}', "half a surrogate pair"),
        ("NaN", "no JSON number"),
        ('{"a": -Infinity}', "no JSON number"),
        ("1" * 5000, "a number of 5,000 digits"),
        ("1e999", "the number 1e999 is too large"),
        ('{"a"', "not JSON"),
        ("\ufeff1", "not JSON"),  # a mark is no part of a decoded line
        ("", "not JSON"),
        (b"\xff\xfea", "is not UTF-8|not JSON"),
    ],
)
def test_json_that_cannot_be_used_is_a_value_error_in_words(line, message):
    with pytest.raises(ValueError, match=message):
        load_json(line)


def test_json_comes_with_any_byte_order_mark():
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert load_json('{"a": ["é", 1, 1.5, true, null]}'.encode(encoding)) == {
            "a": ["é", 1, 1.5, True, None]
        }


def test_each_string_of_a_value_is_in_nfc():
    nfd, nfc = "Cafe\u0301", "Caf\u00e9"
    assert normal_all({nfd: [nfd, (nfd, 1)], "n": None}) == {nfc: [nfc, (nfc, 1)], "n": None}


def test_toml_is_opened_like_other_text(tmp_path):
    path = tmp_path / "c.toml"
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_bytes('name = "Café"\n'.encode(encoding))
        assert load_toml(path) == {"name": "Café"}
    path.write_text("a = " + "[" * 5000 + "]" * 5000)
    with pytest.raises(UsageError, match=r"c\.toml: nested too deep"):
        load_toml(path)
    path.write_bytes(b"a = 1\nb = '\xe9'\n")
    with pytest.raises(UsageError, match=r"c\.toml, line 2: byte 0xe9"):
        load_toml(path)
    with pytest.raises(MissingError, match="cannot read"):
        load_toml(tmp_path / "nothing.toml")
