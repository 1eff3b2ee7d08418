"""Listening, and stopping without losing what was accepted."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn

from dlm_cli.output import stderr
from dlm_cli.serve.app import make_app
from dlm_cli.serve.errors import RefusedError
from dlm_core.errors import UsageError

if TYPE_CHECKING:
    from dlm_cli.serve.service import Service

_BACKLOG = 2048
_LINGER = 5
"""Seconds for what is on its way out once all is answered."""


@contextmanager
def _address_errors(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"options '--host' and '--port': cannot listen on {host}:{port} ({reason})",
            "--port 0 takes a free one",
        ) from error


def bind(host: str, port: int) -> socket.socket:
    """A socket that has its address and does not listen yet.

    Raises:
        UsageError: the port is in use, or the host is not ours.
    """
    with _address_errors(host, port):
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )[0]
        # asyncio sends small parts of a stream at once only where it reads TCP off the socket;
        # without it, a draft waits 40 ms for the client to acknowledge the one before
        bound = socket.socket(family, kind, protocol)
        if sys.platform != "win32":  # where it would let two servers share a port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(address)
        except BaseException:
            bound.close()
            raise
    return bound


class Server(uvicorn.Server):
    """Answers requests until it is told to stop; then finishes those it has.

    Args:
        service: what is served.
    """

    def __init__(self, service: Service) -> None:
        config: Any = uvicorn.Config(
            make_app(service),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            limit_concurrency=service.limits.max_connections,
            timeout_graceful_shutdown=_LINGER,
        )
        super().__init__(config)
        self.service, self.interrupted = service, False

    def serve_on(self, bound: socket.socket) -> None:
        """Listen until a signal comes and all is answered."""
        host, port = bound.getsockname()[:2]
        with _address_errors(host, port):
            bound.listen(_BACKLOG)
        shown = f"[{host}]" if ":" in host else host
        stderr(f"serving {self.service.name} on http://{shown}:{port}")
        self.run(sockets=[bound])
        self.service.batcher.close(_LINGER)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals stop the server gracefully, a second one at once; uvicorn's would kill it."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()

        def told(number: int, _: FrameType | None) -> None:
            self.interrupted |= number == signal.SIGINT
            loop.call_soon_threadsafe(self.stop)

        before = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop(self) -> None:
        """Refuse what comes, finish what is there; called again, drop it. In the event loop."""
        if self.service.stopping:
            self._give_up()
            return
        self.service.stopping = True
        stderr(f"stopping: {self.service.inside} requests are being answered")
        self._draining = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        deadline = time.monotonic() + self.service.limits.grace
        while self.service.inside and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        self._give_up()
        self.should_exit = True

    def _give_up(self) -> None:
        self.service.batcher.abandon(
            RefusedError(503, "stopping", "the server was stopped before the texts were made")
        )
