"""A request on its way: what the worker's thread tells the client's task."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dlm_cli.requests.item import Item

if TYPE_CHECKING:
    from dlm_core.generation.prepare import Prepared
    from dlm_core.plugins.registry import Plugins
    from dlm_core.results import Result
    from dlm_core.results import Step as TextStep


@dataclass(frozen=True)
class Drafts:
    """A step: the text of each candidate that was walked, as it stands after it."""

    step: int
    steps: int
    texts: dict[int, TextStep]


Event = Drafts | list["Result"] | Exception
"""Drafts, then the texts that are kept, or what went wrong."""


@dataclass(eq=False)
class Ticket:
    """A request on its way; made in the event loop that waits for it.

    Attributes:
        item: what is asked.
        temperature: of its words; the server's own if None. Texts of one batch share it.
        streams: drafts are told.
        traced: every step is kept.
        gone: nobody waits for it any more.
        taken: how many of its texts batches have taken.
        prepared: its controls, once they are built.
    """

    item: Item
    temperature: float | None = None
    streams: bool = False
    traced: bool = False
    gone: bool = False
    taken: int = 0
    prepared: Prepared | None = None
    _made: list[Result] = field(default_factory=list)
    _events: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    @property
    def left(self) -> int:
        """Texts that no batch has yet."""
        return self.item.n - self.taken

    async def next(self) -> Event:
        """What happens next."""
        return await self._events.get()

    def tell(self, event: Event) -> None:
        """From the worker's thread to the client's task."""
        with suppress(RuntimeError):  # the loop is closed: nobody listens
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    def add(self, result: Result, plugins: Plugins) -> None:
        """One more text is made, in the order of seeds; after the last they are chosen from."""
        self._made.append(result)
        if len(self._made) == self.item.n:
            try:
                self.tell(self.item.choose(self._made, plugins))
            except Exception as error:
                self.tell(error)
