"""`--resume`: what an interrupted run left in its output file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from dlm_cli.requests.item import Id
from dlm_core.errors import UsageError

if TYPE_CHECKING:
    pass


class Written:
    """What an interrupted run left in its output file, for `--resume`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.texts: dict[Id, int] = {}
        self._starts: dict[Id, int] = {}
        self._last: Id | None = None
        self._appended = False
        end = 0
        if not path.is_file():
            return
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.endswith(b"\n"):
                    break  # cut off in the middle of a line
                self._take(line, number, end)
                end += len(line)
        if end < path.stat().st_size:
            self._cut(end)

    def _take(self, line: bytes, number: int, start: int) -> None:
        try:
            key = json.loads(line)["id"]
            if not isinstance(key, str | int):
                raise TypeError
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"option '--resume': {self.path}, line {number} is no result of --requests",
                "leave out --resume to write the file anew",
            ) from error
        self.texts[key] = self.texts.get(key, 0) + 1
        self._starts.setdefault(key, start)
        self._last = key

    def appended(self) -> None:
        """New results stand at the end of the file: nothing can be cut off any more."""
        self._appended = True

    def drop(self, key: Id) -> None:
        """Remove the texts of a request that was cut off; it is made again.

        Raises:
            UsageError: others follow it, so it was not cut off: it was another request.
        """
        if key != self._last or self._appended:
            raise UsageError(
                f"id {json.dumps(key)} has {self.texts[key]} texts in {self.path}, not as many as "
                "asked for now",
                "give a changed request a new id",
            )
        self._cut(self._starts[key])

    def _cut(self, size: int) -> None:
        with self.path.open("r+b") as stream:
            stream.truncate(size)
