"""Requests: one JSON object a line in, texts with the caller's id out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, StrictInt, StrictStr

from dlm_cli.output import tell_error
from dlm_cli.recipes import validate
from dlm_core.config import Settings
from dlm_core.errors import DLMError, MissingError, UsageError

if TYPE_CHECKING:
    from dlm_core.generation import Request
    from dlm_core.plugins import Plugins
    from dlm_core.results import Result
    from dlm_core.selection import SelectorSpec
    from dlm_core.spec import Controls

Id = StrictInt | StrictStr


class Line(Settings):
    """The keys of a request; one that is left out is taken from the command line or the recipe."""

    id: Id
    controls: tuple[str, ...] = ()
    n: int = Field(ge=1)
    seed: int
    select: str | None = None
    keep: int | None = Field(default=None, ge=1)


@dataclass(frozen=True)
class Item:
    """A checked request, and which of its candidates are kept."""

    controls: Controls
    n: int
    seed: int
    selector: SelectorSpec | None
    keep: int
    id: Id | None = None

    @property
    def request(self) -> Request:
        """For `generate_batches`."""
        from dlm_core.generation import Request

        return Request(self.controls, self.n, self.seed)

    def choose(self, candidates: Sequence[Result], plugins: Plugins) -> list[Result]:
        """What is written of the candidates."""
        from dlm_core.selection import select

        if self.selector is None:
            return list(candidates)
        owner = plugins.origin("selector", self.selector.kind)
        return select(self.selector, candidates, self.keep, owner=owner)


def make_item(
    controls: Sequence[str],
    n: int,
    seed: int,
    selector: str | None,
    keep: int | None,
    plugins: Plugins,
    id: Id | None = None,
) -> Item:
    """Parse the specs of a request.

    Raises:
        SpecError, UsageError: a spec or number that cannot be.
        MissingError: the selector lacks a package or a model.
    """
    from dlm_core.selection import check_selector, parse_selector
    from dlm_core.spec import Controls, parse_spec

    terms = tuple(parse_spec(spec, plugins.controls) for spec in controls)
    chosen = None if selector is None else parse_selector(selector, plugins.selectors)
    if chosen is None:
        if keep is not None:
            raise UsageError("'keep' has no effect without 'select'", "select: control, mbr, ...")
        return Item(Controls(terms), n, seed, None, n, id)
    check_selector(chosen, plugins.origin("selector", chosen.kind))
    keep = keep or (n if chosen.kind == "none" else 1)
    if keep > n:
        raise UsageError(f"cannot keep {keep} of {n} candidates", f"keep at most {n}")
    return Item(Controls(terms), n, seed, chosen, keep, id)


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
        json.dumps({"id": item.id, **result.model_dump(mode="json")}, ensure_ascii=False)
        for result in results
    ]


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
