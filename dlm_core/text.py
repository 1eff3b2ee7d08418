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
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
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
_NO_TEXT = (
    (b"PK\x03\x04", "a zip archive or a spreadsheet", "unpack it, or save the sheet as CSV"),
    (b"(\xb5/\xfd", "packed with zstd", "unpack it: zstd -d"),
    (b"PAR1", "a Parquet file", "as a corpus it is parquet:PATH"),
    (b"%PDF", "a PDF", "save its text, a sentence a line"),
)
BROKEN = (EOFError, OSError, zlib.error, lzma.LZMAError)
"""What reading a damaged compressed file raises; all but a UnicodeDecodeError."""


def normal(text: str) -> str:
    """NFC: an accent and its letter are one character, however they were typed."""
    return unicodedata.normalize("NFC", text)


def half_pair(text: str) -> int | None:
    """The first character that is half a surrogate pair, which no file can hold; None without."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return error.start
    return None


def normal_all(value: Any) -> Any:
    """A value as JSON has them, each string in it in NFC."""
    if isinstance(value, str):
        return normal(value)
    if isinstance(value, dict):
        return {normal_all(key): normal_all(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(normal_all, value)) if type(value) in (list, tuple) else value
    return value


def open_bytes(path: Path) -> BinaryIO:
    """A file, unpacked if what it holds is gzip, bzip2 or xz, whatever its name.

    Raises:
        MissingError: it cannot be opened, and why.
    """
    try:
        plain: BinaryIO = path.open("rb")
        if not plain.seekable():  # a pipe gives its bytes once
            with plain:
                plain = io.BytesIO(plain.read())
        start = plain.read(6)
        plain.seek(0)
        for magic, unpack in _PACKED:
            if start.startswith(magic):
                if isinstance(plain, io.BytesIO):
                    return cast(BinaryIO, unpack(plain, "rb"))
                plain.close()
                return cast(BinaryIO, unpack(path, "rb"))
        return plain
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
            _refuse_no_text(head, path)
            name = encoding_of(head) if encoding is None else encoding
            if encoding is not None or name != "utf-8":
                whole = _decode(head + stream.read(), name, path)
                for number, line in enumerate(io.StringIO(whole, newline=""), 1):
                    yield number, normal(line)
                return
            # UTF-8: line by line, so that a bad byte is told with its own line
            first = head + (b"" if head.endswith(b"\n") else stream.readline())
            for raw in chain(io.BytesIO(first), stream):
                for line in _broken_at_returns(_utf8(raw, path, number + 1)):
                    number += 1
                    yield number, normal(line)
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


def _refuse_no_text(start: bytes, path: Path) -> None:
    for magic, what, hint in _NO_TEXT:
        if start.startswith(magic):
            raise UsageError(f"{path} is no text, but {what}", hint)


def _broken_at_returns(line: str) -> Iterable[str]:
    """A line, or those it holds where carriage returns alone end them."""
    return io.StringIO(line, newline="") if "\r" in line.rstrip("\r\n") else (line,)


def _utf8(raw: bytes, path: Path, line: int) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise undecodable(path, line, error) from error
    if "\0" in text:
        raise _nul(path, line)
    return text


def _nul(path: Path, line: int) -> UsageError:
    return UsageError(
        f"{path}, line {line}: a NUL character, which is in no text",
        "UTF-16 without a byte order mark is read with --encoding utf-16-le",
    )


def _decode(data: bytes, encoding: str, path: Path) -> str:
    try:
        whole = data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "replace")
        raise undecodable(path, before.count("\n") + 1, error) from error
    except (LookupError, ValueError) as error:  # not a text encoding, or no name at all
        raise UsageError(
            f"no encoding is called '{encoding[:40]}'", "utf-8, utf-16, latin-1, cp1252, ..."
        ) from error
    if (nul := whole.find("\0")) >= 0:
        raise _nul(path, whole.count("\n", 0, nul) + 1)
    return whole


def load_json(text: str | bytes) -> Any:
    """JSON as users may send it: ValueError, in words, for whatever cannot be used.

    Refused beside what is no JSON: a key that stands twice in an object, NaN, infinity and other
    numbers that no float or int of Python's holds, nesting too deep to read, and half a surrogate
    pair, which no file can hold.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode(encoding_of(text[:4]))
        value = _JSON.decode(text)
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


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _int(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:  # Python's bound on digits
        raise ValueError(f"a number of {len(digits):,} digits") from None


def _float(digits: str) -> float:
    if math.isinf(value := float(digits)):
        raise ValueError(f"the number {digits[:40]} is too large")
    return value


_JSON = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_no_number, parse_int=_int, parse_float=_float
)


def _whole(value: Any) -> None:
    """Refuse half a surrogate pair anywhere in a value."""
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            if (at := half_pair(item)) is not None:
                raise ValueError(f"half a surrogate pair at character {at + 1}")
        elif isinstance(item, dict):
            todo += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            todo += item
