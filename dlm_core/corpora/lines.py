"""The lines of a corpus, with a look at how it begins."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from dlm_core import text
from dlm_core.corpora import formats


class Lines:
    """The lines of a file that are not blank, with their numbers.

    Args:
        path: plain or compressed.
        reader: the reader that was named.
        encoding: UTF-8, or what a byte order mark says, if omitted.
    """

    def __init__(self, path: Path, reader: str, encoding: str | None) -> None:
        self._lines = ((n, line) for n, line in text.read_lines(path, encoding) if line.strip())
        head = list(islice(self._lines, 3))
        self._all = chain(head, self._lines)
        self.start = "".join(line for _, line in head)
        self.hint = formats.hint(reader, self.start)
        """Which reader fits better, if one does."""

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return self._all
