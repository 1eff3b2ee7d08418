"""`--resume`: what an interrupted run left in its output file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from dlm_cli.files import ResultFile, packer, read_lines
from dlm_cli.output import warn
from dlm_cli.requests.item import Id, Item
from dlm_core.errors import UsageError
from dlm_core.files import writing
from dlm_core.text import BROKEN, load_json

_START = b'{"id": '


@dataclass
class _Answer:
    digest: str
    texts: int
    """How many the request has."""
    line: int
    """Where the first stands, counted from 0."""
    start: int
    """The same in bytes of plain text."""
    there: int = 0


class Written:
    """What an interrupted run left in its output file, for `--resume`.

    A line that was torn, and the texts of a request that was cut off, are removed and told; the
    request is made again.

    Args:
        out: the file, opened to be appended to.
        settings: the digest of this run's settings.

    Raises:
        UsageError: it is no output of `--requests`, or one of other settings.
    """

    def __init__(self, out: ResultFile, settings: str) -> None:
        assert out.path is not None
        self.path = out.path
        self._answers: dict[Id, _Answer] = {}
        self._settings = settings
        last: _Answer | None = None
        count = size = 0
        torn = b""
        for line in read_lines(self.path):
            if not line.endswith(b"\n"):
                torn = line
                break
            last = self._take(line, count, size)
            count, size = count + 1, size + len(line)
        if torn and not torn.startswith(_START[: len(torn)]):
            raise self._foreign(count + 1)
        told = f"{self.path}, line {count + 1}: cut off by a crash, removed" if torn else ""
        if last is not None and last.there < last.texts:
            count, size = last.line, last.start
            id = next(key for key, answer in self._answers.items() if answer is last)
            told = f"{self.path}: the texts of id {json.dumps(id)} were cut off, removed"
            del self._answers[id]
        if told or (packer(self.path) and not _is_whole(self.path)):
            warn(told or f"{self.path}: its end was cut off by a crash, removed")
            self._cut(out, count, size)

    def has(self, item: Item) -> bool:
        """The texts of a request are there.

        Raises:
            UsageError: texts of another request are, under this id.
        """
        answer = self._answers.get(item.id) if item.id is not None else None
        if answer is None:
            return False
        if answer.digest != item.digest:
            raise UsageError(
                f"id {json.dumps(item.id)} has texts in {self.path} of a request that was another",
                "give a changed request a new id",
            )
        if answer.there != answer.texts:
            raise UsageError(
                f"id {json.dumps(item.id)} has {answer.there} of {answer.texts} texts in "
                f"{self.path}, and others follow",
                "remove them, or give the request a new id",
            )
        return True

    def _take(self, line: bytes, number: int, start: int) -> _Answer:
        try:
            row = load_json(line)
            key, record = row["id"], row["request"]
            if isinstance(key, bool) or not isinstance(key, str | int):
                raise TypeError
            digest, settings, texts = record["digest"], record["settings"], int(record["texts"])
        except (ValueError, KeyError, TypeError) as error:
            raise self._foreign(number + 1) from error
        if settings != self._settings:
            raise UsageError(
                f"option '--resume': {self.path}, line {number + 1} was made with other settings "
                "(model, sampling, guidance, verdicts or tries)",
                "give those settings again, or write another file",
            )
        answer = self._answers.setdefault(key, _Answer(digest, texts, number, start))
        answer.there += 1
        return answer

    def _foreign(self, number: int) -> UsageError:
        return UsageError(
            f"option '--resume': {self.path}, line {number} is no result of --requests",
            "write another file, or leave out --resume and add --force",
        )

    def _cut(self, out: ResultFile, lines: int, size: int) -> None:
        pack = packer(self.path)
        if pack is None:
            out.truncate(size)
            return
        with writing(self.path.resolve()) as new, pack.open(new, "wb") as stream:
            stream.writelines(islice(read_lines(self.path), lines))
        out.reopen()


def _is_whole(path: Path) -> bool:
    pack = packer(path)
    if pack is None or path.stat().st_size == 0:
        return True
    try:
        with pack.open(path, "rb") as stream:
            while stream.read(1 << 20):
                pass
    except BROKEN:
        return False
    return True
