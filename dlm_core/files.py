"""The one place that writes files: each appears whole, under the user's umask, or not at all.

Light: imports no torch.
"""

from __future__ import annotations

import glob
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dlm_core.errors import DLMError


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A new file beside `path` to be written; it takes the place of `path` when the block is left.

    The new file is synced, has the modes that the umask says, and is removed if anything fails:
    what stood at `path` is whole until then, and nothing is left behind.

    Raises:
        DLMError: the disk is full, or the folder cannot be written.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        new = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.new")
        new.touch(0o666, exist_ok=False)
        temporary = new
        yield new
        _sync(new)
        os.replace(new, path)
        temporary = None
        _sync(path.parent)
    except OSError as error:
        raise DLMError(
            f"cannot write {path}: {error.strerror or error}", "make room, or choose another folder"
        ) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole."""
    with writing(path) as new:
        new.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a file whole, in UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any, indent: int | None = 2) -> None:
    """Write a value as JSON; NaN and infinity, which JSON has not, are a ValueError."""
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n")


def cut_torn_line(path: Path) -> bytes | None:
    """Remove what stands behind the last line break of a file that is appended to, and return it.

    A crash leaves half a line; None if the file is whole or not there.
    """
    if not path.is_file():
        return None
    with path.open("r+b") as stream:
        end = stream.seek(0, os.SEEK_END)
        at, tail = end, b""
        while at and b"\n" not in tail:
            at = max(0, at - 65536)
            stream.seek(at)
            tail = stream.read(end - at)
        whole = at + tail.rfind(b"\n") + 1
        if whole == end:
            return None
        stream.seek(whole)
        torn = stream.read()
        stream.truncate(whole)
        return torn


def _remove_stale(path: Path) -> None:
    """Remove what a process left that was killed while it wrote `path`."""
    for old in path.parent.glob(f".{glob.escape(path.name)}.*.new"):
        writer = old.name.split(".")[-3]
        if writer.isdigit() and not _runs(int(writer)):
            old.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        return True
    return True


def _sync(path: Path) -> None:
    """Have it on the disk, where the file system can."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():  # some file systems sync no folders
            raise
    finally:
        os.close(handle)
