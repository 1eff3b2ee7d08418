"""Requests share batches while they wait; one thread makes the texts.

A request of many texts may be spread over batches, since text i depends on seed + i alone. An idle
worker begins at once. After a batch that several requests shared, it waits `max_wait` seconds at
most for the next to fill: the same clients are likely to come again.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from dlm_cli.serve.errors import RefusedError
from dlm_cli.serve.ticket import Drafts, Ticket
from dlm_core.generation.generate import generate_batches
from dlm_core.generation.prepare import Prepared, Request, prepare

if TYPE_CHECKING:
    from dlm_cli.generate.job import Job
    from dlm_cli.serve.limits import Limits
    from dlm_cli.serve.metrics import Meters
    from dlm_core.bundle import Model
    from dlm_core.results import Step

_LONGEST_RETRY = 60
_FRESH = 0.1
"""Weight of the last batch in the mean time a text takes."""


class _DroppedError(Exception):
    """Nobody waits for the batch any more."""


class Slice(NamedTuple):
    """The texts of one request that are in one batch."""

    ticket: Ticket
    first: int
    size: int

    def request(self, prepared: Prepared) -> Prepared:
        """A request for these texts alone."""
        whole = prepared.request
        part = Request(whole.controls, self.size, whole.seed + self.first)
        return replace(prepared, request=part)


@dataclass
class _Pace:
    """How long a text takes, for Retry-After."""

    seconds: float = 0.1

    def add(self, texts: int, seconds: float) -> None:
        self.seconds += _FRESH * (seconds / texts - self.seconds)

    def retry_after(self, texts: int) -> int:
        return min(_LONGEST_RETRY, max(1, math.ceil(texts * self.seconds)))


class Batcher:
    """Makes the texts of tickets, several tickets at once.

    Args:
        job: how texts are made; a size of 1 walks each alone.
        model: loaded.
        limits: `max_wait` and `max_queue` count here.
        meters: told of every batch.
    """

    def __init__(self, job: Job, model: Model, limits: Limits, meters: Meters) -> None:
        self._job, self._model, self._limits, self._meters = job, model, limits, meters
        self._size = job.size(model.device)
        self._waiting: deque[Ticket] = deque()
        self._open: set[Ticket] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._shared, self._ended = False, 0.0
        """Of the last batch: several requests were in it; when it was done."""
        self._pace = _Pace()
        self._thread = threading.Thread(target=self._run, name="texts", daemon=True)
        self._thread.start()

    def submit(self, ticket: Ticket) -> None:
        """Let a ticket wait for its texts.

        Raises:
            RefusedError: too many texts wait.
        """
        with self._changed:
            waiting = self.texts_waiting
            if waiting + ticket.left > self._limits.max_queue:
                seconds = self._pace.retry_after(waiting)
                raise RefusedError(
                    429, "overloaded", f"{waiting} texts wait already", f"try again in {seconds} s",
                    headers={"Retry-After": str(seconds)},
                )  # fmt: skip
            self._waiting.append(ticket)
            self._open.add(ticket)
            self._changed.notify()

    def drop(self, ticket: Ticket) -> None:
        """Nobody waits for a ticket any more: what is left of it is not made."""
        ticket.gone = True
        with self._changed:
            self._open.discard(ticket)
            if ticket in self._waiting:
                self._waiting.remove(ticket)

    def abandon(self, error: Exception) -> None:
        """Tell all who wait that their texts are not made."""
        for ticket in list(self._open):
            ticket.tell(error)
            self.drop(ticket)

    def close(self, seconds: float) -> None:
        """End the thread after what waits; it is given so many seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(seconds)

    @property
    def texts_waiting(self) -> int:
        """Texts that no batch has yet."""
        return sum(ticket.left for ticket in list(self._waiting))

    def _run(self) -> None:
        while (slices := self._next()) is not None:
            started = time.monotonic()
            slices = [part for part in slices if self._prepare(part.ticket)]
            if slices:
                self._make(slices)
                self._ended, self._shared = time.monotonic(), len(slices) > 1
                texts, seconds = sum(part.size for part in slices), self._ended - started
                self._pace.add(texts, seconds)
                self._meters.batch(texts, seconds)

    def _next(self) -> list[Slice] | None:
        """What the next batch makes; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            company = self._ended + self._limits.max_wait - time.monotonic()
            if self._shared and company > 0:
                self._changed.wait_for(
                    lambda: self._closed or self.texts_waiting >= self._size, company
                )
            if self._waiting:
                return self._taken()
            return None if self._closed else []

    def _taken(self) -> list[Slice]:
        """The first that waits, and all of the same temperature that have room beside it."""
        room, slices = self._size, []
        for ticket in self._waiting:
            if room and ticket.temperature == self._waiting[0].temperature:
                count = min(room, ticket.left)
                slices.append(Slice(ticket, ticket.taken, count))
                ticket.taken += count
                room -= count
        self._waiting = deque(ticket for ticket in self._waiting if ticket.left)
        return slices

    def _prepare(self, ticket: Ticket) -> bool:
        """Build its controls, once; what cannot be made is told to its client alone."""
        if ticket.gone:
            return False
        if ticket.prepared is None:
            try:
                ticket.prepared = prepare(
                    self._model, ticket.item.request, self._job.plugins, self._job.guidance
                )
            except Exception as error:
                self._fail(ticket, error)
                return False
        return True

    def _fail(self, ticket: Ticket, error: Exception) -> None:
        ticket.tell(error)
        self.drop(ticket)

    def _make(self, slices: Sequence[Slice]) -> None:
        """Walk a batch; where it fails, each request by itself: their texts are the same."""
        done = [0] * len(slices)
        try:
            for batch in self._batches(slices):
                for index, result in batch:
                    done[index] += 1
                    slices[index].ticket.add(result, self._job.plugins)
        except _DroppedError:
            return
        except Exception as error:
            if len(slices) == 1:
                self._fail(slices[0].ticket, error)
                return
            for (ticket, first, count), ready in zip(slices, done, strict=True):
                if ready < count and not ticket.gone:
                    self._make([Slice(ticket, first + ready, count - ready)])

    def _batches(self, slices: Sequence[Slice]) -> Any:
        def step(done: int, steps: int) -> None:
            if all(part.ticket.gone for part in slices):
                raise _DroppedError

        streams = any(part.ticket.streams for part in slices)
        sampling = self._job.sampling
        if (temperature := slices[0].ticket.temperature) is not None:
            sampling = sampling.model_copy(update={"temperature": temperature})
        return generate_batches(
            self._model,
            [part.request(part.ticket.prepared) for part in slices if part.ticket.prepared],
            sampling=sampling,
            guidance=self._job.guidance,
            batch_size=self._size,
            verify=self._job.verify,
            plugins=self._job.plugins,
            progress=step,
            on_step=_Told(slices, sampling.steps) if streams else None,
            trace=any(part.ticket.traced for part in slices),
        )


class _Told:
    """Tells each ticket that streams of its texts' drafts."""

    def __init__(self, slices: Sequence[Slice], steps: int) -> None:
        self._slices, self._steps, self._step = slices, steps, 0

    def __call__(self, texts: Sequence[Step]) -> None:
        """The texts of a batch stand in the order of its requests and their seeds."""
        self._step += 1
        start = 0
        for part in self._slices:
            if part.ticket.streams:
                drafts = dict(enumerate(texts[start : start + part.size], part.first))
                part.ticket.tell(Drafts(self._step, self._steps, drafts))
            start += part.size
