"""The one place that opens text: encodings, compression, line numbers, JSON, Unicode's forms.

Light: imports no torch.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import json
import lzma
import math
import re
import unicodedata
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

from dlm_core.errors import MissingError, UsageError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PACKED = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open))
_CLOSING = re.compile(r" ([.,;:!?]+|[%)\]}]|n't|'(?:s|t|re|ll|ve|d|m)?)(?= |$)")
_OPENING = re.compile(r"((?:^|(?<= ))[£$€(\[{]) ")
_HYPHEN = re.compile(r"(?<=\w) - (?=\w)|(?<=\d)- (?=\d)")
BROKEN = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError)
"""What reading a damaged compressed file raises; all but a UnicodeDecodeError."""


def normal(text: str) -> str:
    """NFC: an accent and its letter are one character, however they were typed."""
    return unicodedata.normalize("NFC", text)


def plain(text: str) -> str:
    """A tokenised text as one writes it: `The Mill is family - friendly .` has no such blanks.

    Marks join the word they belong to, by English rules; words and capitals stay as they are. A
    dash between two words is taken for a hyphen, which it mostly is in a tokenised text.
    """
    text = _CLOSING.sub(r"\1", text)
    text = _OPENING.sub(r"\1", text)
    return _HYPHEN.sub("-", text)


def open_bytes(path: Path) -> BinaryIO:
    """A file, unpacked if what it holds is gzip, bzip2 or xz, whatever its name.

    Raises:
        MissingError: it cannot be opened, and why.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(6)
        for magic, unpack in _PACKED:
            if start.startswith(magic):
                return cast(BinaryIO, unpack(path, "rb"))
        return path.open("rb")
    except OSError as error:
        raise MissingError(f"cannot read {path}: {error.strerror or error}") from error


def encoding_of(start: bytes) -> str:
    """The encoding that a byte order mark names; UTF-8 without one."""
    return next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")


def read_lines(path: Path, encoding: str | None = None) -> Iterator[tuple[int, str]]:
    """Lines of a text file with their numbers, in NFC, line breaks left on.

    Args:
        path: plain or compressed; a byte order mark is honoured and left out.
        encoding: UTF-8, or what the mark says, if omitted.

    Raises:
        MissingError: it cannot be opened.
        UsageError: a line cannot be decoded, or the compressed data is damaged; the line is named.
    """
    number = 0
    try:
        with open_bytes(path) as stream:
            head = stream.read(4)
            rest = stream.read() if encoding or encoding_of(head) != "utf-8" else b""
            if rest or encoding:
                text = io.StringIO(_decode(head + rest, encoding or encoding_of(head), path))
                for number, line in enumerate(text, 1):
                    yield number, normal(line)
                return
            # UTF-8: line by line, so that a bad byte is told with its own line
            first = head + (b"" if head.endswith(b"\n") else stream.readline())
            for number, raw in enumerate(chain(io.BytesIO(first), stream), 1):
                yield number, normal(_utf8(raw, path, number))
    except BROKEN as error:
        raise UsageError(
            f"{path}, line {number + 1}: damaged: {error}", "fetch the file again"
        ) from error


def read_text(path: Path, encoding: str | None = None) -> str:
    """A whole text file, as `read_lines` gives it."""
    return "".join(line for _, line in read_lines(path, encoding))


def undecodable(path: Path, line: int, error: UnicodeDecodeError) -> UsageError:
    """The error for bytes that are no UTF-8."""
    byte = error.object[error.start]
    return UsageError(
        f"{path}, line {line}: byte 0x{byte:02x} is not {error.encoding}",
        "save the file as UTF-8, or say what it is: --encoding latin-1",
    )


def _utf8(raw: bytes, path: Path, line: int) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise undecodable(path, line, error) from error


def _decode(data: bytes, encoding: str, path: Path) -> str:
    try:
        return data.decode(encoding)
    except LookupError as error:
        raise UsageError(
            f"no encoding is called '{encoding}'", "utf-8, utf-16, latin-1, ..."
        ) from error
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise undecodable(path, line, error) from error


def load_json(text: str | bytes) -> Any:
    """JSON as users may send it: ValueError, in words, for whatever cannot be used.

    Refused beside what is no JSON: a key that stands twice in an object, NaN and infinity, nesting
    too deep to read, and half a surrogate pair, which no file can hold.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode(encoding_of(text[:4]))
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_no_number, parse_float=_finite
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"byte 0x{error.object[error.start]:02x} is not UTF-8") from error
    except RecursionError:
        raise ValueError("nested too deep") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    _whole(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key '{key[:40]}' stands twice")
        found[key] = value
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:40]} is no number that JSON programs can hold")
    return number


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _whole(value: Any) -> None:
    """Refuse half a surrogate pair anywhere in a value."""
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            try:
                item.encode("utf-8")
            except UnicodeEncodeError as error:
                raise ValueError(f"half a surrogate pair at character {error.start + 1}") from error
        elif isinstance(item, dict):
            todo += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            todo += item
