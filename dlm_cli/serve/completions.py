"""`POST /v1/completions`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from dlm_cli.serve.answer import Answer
from dlm_cli.serve.asked import read_asked
from dlm_cli.serve.clients import GoneError, check_key, read_body, unless_gone
from dlm_cli.serve.doors import COMPLETIONS, LEFT
from dlm_cli.serve.errors import RefusedError
from dlm_cli.serve.ticket import Drafts, Event, Ticket

if TYPE_CHECKING:
    from dlm_cli.serve.service import Service
    from dlm_core.results import Result

router = APIRouter()


@router.post(COMPLETIONS)
async def complete(request: Request) -> Response:
    """Texts under controls, all at once or step by step."""
    service: Service = request.app.state.service
    check_key(request, service.key)
    try:
        body = await read_body(request, service.limits)
        asked = await run_in_threadpool(read_asked, body, service.job, service.limits, service.name)
        wish = asked.wish
        ticket = Ticket(asked.item, wish.temperature, bool(wish.stream), bool(wish.trace))
        answer = Answer(asked, service.job, service.name, service.fingerprint)
        service.batcher.submit(ticket)
        return await _Answering(request, service, ticket, answer).response()
    except GoneError:
        return Response(status_code=LEFT)  # to nobody


class _Answering:
    """One completion whose texts are being made."""

    def __init__(self, request: Request, service: Service, ticket: Ticket, answer: Answer) -> None:
        self.request, self.service = request, service
        self.ticket, self.answer = ticket, answer

    async def response(self) -> Response:
        """The answer, or the beginning of a stream; what fails before it is an error's answer."""
        streamed = False
        try:
            event = await unless_gone(self.request, self.ticket.next())
            if isinstance(event, Exception):
                raise RefusedError.of(event) from event
            if self.ticket.streams:
                streamed = True
                return StreamingResponse(self._events(event), media_type="text/event-stream")
            assert not isinstance(event, Drafts)
            self._count(event)
            return JSONResponse(self.answer.whole(event))
        finally:
            if not streamed:
                self.service.batcher.drop(self.ticket)

    async def _events(self, event: Event) -> AsyncIterator[bytes]:
        """Drafts, the texts, the end."""
        try:
            while isinstance(event, Drafts):
                yield _event(self.answer.drafts(event))
                event = await unless_gone(self.request, self.ticket.next())
            if isinstance(event, Exception):
                yield _event(RefusedError.of(event).body)
                return
            self._count(event)
            yield _event(self.answer.last(event))
            options = self.answer.asked.wish.stream_options
            if options is not None and options.include_usage:
                yield _event(self.answer.usage(event))
            yield b"data: [DONE]\n\n"
        except GoneError:
            return
        finally:
            self.service.batcher.drop(self.ticket)

    def _count(self, results: Sequence[Result]) -> None:
        kinds = [term.spec.kind for term in self.answer.asked.item.controls]
        self.service.meters.texts(results, kinds)


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
