"""Requests: one JSON object a line in, texts with the caller's id out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from dlm_cli.files import MAX_LINE, open_lines
from dlm_cli.output import tell_error
from dlm_cli.requests.item import Id, Item, own_seed
from dlm_cli.requests.recipes import MAX_CONTROLS, Controls, Integer, validate
from dlm_cli.requests.share import Share
from dlm_core.config import Settings
from dlm_core.errors import DLMError, UsageError
from dlm_core.text import load_json

if TYPE_CHECKING:
    from dlm_cli.requests.resume import Written
    from dlm_core.results import Result

MAX_TEXTS = 100_000
"""Of one request: its candidates are kept in memory."""


def _id(value: Any) -> Any:
    """A string or an integer, also as a data frame writes it (5.0)."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"must be a string or an integer, not {json.dumps(value)[:40]}")
    return value


class Line(Settings):
    """The keys of a request; one that is left out is taken from the command line or the recipe."""

    id: Annotated[Id, BeforeValidator(_id)]
    controls: Controls = Field(default=(), max_length=MAX_CONTROLS)
    n: Integer = Field(ge=1, le=MAX_TEXTS)
    seed: Integer | None = Field(default=None, ge=-(2**63), lt=2**63)
    """Its own, of the run's seed and the id, if omitted."""
    select: str | None = None
    keep: Integer | None = Field(default=None, ge=1)
    meta: dict[str, Any] | None = None
    """The caller's own, given back in each row."""


@dataclass
class Reader:
    """Reads requests as they come; a line that is wrong is told on stderr and the rest goes on.

    Args:
        name: the file, for messages.
        defaults: keys a line may leave out.
        seed: the run's.
        parse: a line's keys to a checked item.
        written: what the output has already.
        share: the lines that are this process's.
    """

    name: str
    defaults: dict[str, Any]
    seed: int
    parse: Callable[[Line], Item]
    written: Written | None = None
    share: Share = field(default_factory=Share)
    numbers: dict[Id, int] = field(default_factory=dict)
    """Id -> number of its line, of the lines read so far."""
    worst: int = 0
    failures: int = 0
    skipped: int = 0

    def items(self, lines: Iterable[bytes]) -> Iterator[Item]:
        """The good requests of this process, also those whose texts are there."""
        number = 0
        try:
            for number, line in enumerate(lines, start=1):
                try:
                    item = self._item(line, number) if line.strip() else None
                except Exception as error:
                    if self.share.has(number):
                        self._tell(error, f"line {number}")
                else:
                    if item is not None:
                        yield item
        except DLMError as error:  # the file itself cannot be read on
            if self.share.has(number + 1):
                self._tell(error, f"line {number + 1}")

    def failed(self, item: Item, error: Exception) -> None:
        """A request that was well formed could not be answered."""
        if item.id is not None:
            self._tell(error, f"line {item.line}, id {json.dumps(item.id)}")

    def _tell(self, error: Exception, place: str) -> None:
        file = "stdin" if self.name == "-" else self.name
        told = as_dlm_error(error)
        tell_error(f"{file}, {place}: {told.message}", told.hint)
        self.failures += 1
        self.worst = max(self.worst, told.exit_code)

    def _item(self, line: bytes, number: int) -> Item | None:
        request = validate(Line, self.defaults | self._data(line), "request")
        first = self.numbers.setdefault(request.id, number)
        if first != number:
            raise UsageError(
                f"id {json.dumps(request.id)} is that of line {first} already",
                "give each request its own id",
            )
        if not self.share.has(number):
            return None
        if request.seed is None:
            request = request.model_copy(update={"seed": own_seed(self.seed, request.id)})
        item = replace(self.parse(request), line=number)
        if self.written is not None and self.written.has(item):
            self.skipped += 1
            return replace(item, there=True)
        return item

    @staticmethod
    def _data(line: bytes) -> dict[str, Any]:
        if len(line) > MAX_LINE:
            raise UsageError(f"the line is longer than {MAX_LINE:,} bytes", "one request a line")
        try:
            data = load_json(line)
        except ValueError as error:
            raise UsageError(str(error)) from error
        if not isinstance(data, dict):
            raise UsageError("expected a JSON object", '{"id": 1, "controls": ["length:12"]}')
        return data


def as_dlm_error(error: Exception) -> DLMError:
    """Any exception as one that is told in a line."""
    if isinstance(error, DLMError):
        return error
    text = str(error).strip().splitlines()
    hint = "DLM_DEBUG=1 shows the traceback"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        hint = "a smaller --batch-size or n needs less memory"
    return DLMError(f"{type(error).__name__}: {text[0] if text else 'no message'}", hint)


def count_lines(name: str) -> int | None:
    """How many requests a file has at most; None for what can be read only once."""
    if not Path(name).is_file():
        return None
    with open_lines(name, "option '--requests'") as lines:
        try:
            return sum(1 for line in lines if line.strip())
        except DLMError:  # damaged: told when it is met
            return None


def chunks(
    items: Iterable[Item], size: int, block_of: Callable[[int], int]
) -> Iterator[list[Item]]:
    """Requests of together at most `size` texts (or one that has more), all of one block."""
    chunk: list[Item] = []
    texts = 0
    for item in items:
        if chunk and (texts + item.n > size or block_of(item.line) != block_of(chunk[0].line)):
            yield chunk
            chunk, texts = [], 0
        chunk.append(item)
        texts += item.n
        if texts >= size:
            yield chunk
            chunk, texts = [], 0
    if chunk:
        yield chunk


def rows(item: Item, results: Sequence[Result], settings: str) -> list[str]:
    """A request's lines of output.

    `request` is what `--resume` compares: a digest of what was asked and one of the settings, how
    many texts there are, and the seed, which the request need not name.
    """
    head: dict[str, Any] = {"id": item.id} | ({} if item.meta is None else {"meta": item.meta})
    record = {"digest": item.digest, "settings": settings, "seed": item.seed, "texts": len(results)}
    return [
        json.dumps(
            head | r.model_dump(mode="json") | {"request": record},
            ensure_ascii=False,
            allow_nan=False,
        )
        for r in results
    ]
