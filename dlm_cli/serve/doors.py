"""Middleware around everything: who is inside, who is let in, and who keeps it waiting."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlm_cli.serve.errors import RefusedError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from dlm_cli.serve.service import Service

COMPLETIONS = "/v1/completions"
LEFT = 499
"""Counted for a client that left before its answer was whole."""


@dataclass
class _Visit:
    """One request's answer on its way out."""

    outer: Send
    patience: float
    status: int = LEFT
    whole: bool = False
    late: bool = False

    async def send(self, message: Message) -> None:
        """Send a piece; TimeoutError where the client does not take it."""
        try:
            async with asyncio.timeout(self.patience):
                await self.outer(message)
        except TimeoutError:
            self.late = True
            raise
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.whole = not message.get("more_body", False)


class Doors:
    """Counts the requests inside and refuses more while the server stops.

    A client that does not take a piece of its answer within `Limits.patience` is left.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self.app(scope, receive, send)
            return
        if self.service.stopping:
            refused = RefusedError(
                503, "stopping", "the server is being stopped", "try another, or again later",
                headers={"Connection": "close"},
            )  # fmt: skip
            await refused.response()(scope, receive, send)
            return
        visit, started = _Visit(send, self.service.limits.patience), time.monotonic()
        self.service.inside += 1
        try:
            await self.app(scope, receive, visit.send)
        except Exception:
            if not visit.late:
                raise
        finally:
            self.service.inside -= 1
            if scope["path"] == COMPLETIONS:
                status = visit.status if visit.whole else LEFT
                self.service.meters.answer(status, time.monotonic() - started)
