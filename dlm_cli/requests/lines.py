"""Requests: one JSON object a line in, texts with the caller's id out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from dlm_cli.output import tell_error
from dlm_cli.requests.item import Id, Item
from dlm_cli.requests.recipes import validate
from dlm_core.config import Settings
from dlm_core.errors import DLMError, MissingError, UsageError

if TYPE_CHECKING:
    from dlm_core.results import Result


class Line(Settings):
    """The keys of a request; one that is left out is taken from the command line or the recipe."""

    id: Id
    controls: tuple[str, ...] = ()
    n: int = Field(ge=1)
    seed: int
    select: str | None = None
    keep: int | None = Field(default=None, ge=1)


@contextmanager
def open_lines(name: str, option: str) -> Iterator[Iterable[bytes]]:
    """The lines of a file, undecoded, so that a wrong byte spoils its own line; `-` is stdin.

    Raises:
        MissingError: the file cannot be opened.
    """
    if name == "-":
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(Path(name).open("rb"))
        except OSError as error:
            reason = error.strerror or error
            raise MissingError(f"{option}: cannot read {name} ({reason})") from error
        yield stream


@dataclass
class Reader:
    """Reads requests as they come; a line that is wrong is told on stderr and the rest goes on.

    Args:
        name: the file, for messages.
        defaults: keys a line may leave out.
        parse: a line's keys to a checked item.
        done: how many texts each id has in the output already.
    """

    name: str
    defaults: dict[str, Any]
    parse: Callable[[Line], Item]
    done: dict[Id, int] = field(default_factory=dict)
    incomplete: Callable[[Id], None] = lambda _: None
    numbers: dict[Id, int] = field(default_factory=dict)
    """Id -> number of its line, of the lines read so far."""
    worst: int = 0
    failures: int = 0
    skipped: int = 0

    def items(self, lines: Iterable[bytes]) -> Iterator[Item]:
        """The good requests that are still to be made."""
        for number, line in enumerate(lines, start=1):
            try:
                item = self._item(line, number) if line.strip() else None
            except DLMError as error:
                self._tell(error, f"line {number}")
            else:
                if item is not None:
                    yield item

    def failed(self, item: Item, error: DLMError) -> None:
        """A request that was well formed could not be answered."""
        if item.id is not None:
            self._tell(error, f"line {self.numbers[item.id]}, id {json.dumps(item.id)}")

    def summary(self) -> str:
        """What became of the other lines, to be put behind a message."""
        there = f"; there already: {self.skipped}" if self.skipped else ""
        return there + (f"; failed: {self.failures}" if self.failures else "")

    def _tell(self, error: DLMError, place: str) -> None:
        file = "stdin" if self.name == "-" else self.name
        tell_error(f"{file}, {place}: {error.message}", error.hint)
        self.failures += 1
        self.worst = max(self.worst, error.exit_code)

    def _item(self, line: bytes, number: int) -> Item | None:
        try:
            data = json.loads(line)
        except ValueError as error:
            raise UsageError(f"not JSON: {error}") from error
        if not isinstance(data, dict):
            raise UsageError("expected a JSON object", '{"id": 1, "controls": ["length:12"]}')
        request: Line = validate(Line, self.defaults | data, "request")
        first = self.numbers.setdefault(request.id, number)
        if first != number:
            raise UsageError(
                f"id {json.dumps(request.id)} is that of line {first} already",
                "give each request its own id",
            )
        item = self.parse(request)
        texts = self.done.get(request.id, 0)
        if texts == item.keep:
            self.skipped += 1
            return None
        if texts:
            self.incomplete(request.id)
        return item


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Requests of together at most `size` texts (or one that has more): the batches are full."""
    chunk: list[Item] = []
    texts = 0
    for item in items:
        if chunk and texts + item.n > size:
            yield chunk
            chunk, texts = [], 0
        chunk.append(item)
        texts += item.n
        if texts >= size:
            yield chunk
            chunk, texts = [], 0
    if chunk:
        yield chunk


def rows(item: Item, results: Sequence[Result]) -> list[str]:
    """A request's lines of output."""
    return [
        json.dumps(
            {"id": item.id, **result.model_dump(mode="json")}, ensure_ascii=False, allow_nan=False
        )
        for result in results
    ]
