"""Clients as they are: without the key, slow, gone, with too much to say."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from starlette.requests import Request

from dlm_cli.serve.errors import RefusedError

if TYPE_CHECKING:
    from dlm_cli.serve.limits import Limits

_T = TypeVar("_T")


class GoneError(Exception):
    """The client is gone."""


def check_key(request: Request, key: str) -> None:
    """`Authorization: Bearer KEY`, where the server has a key.

    Raises:
        RefusedError: 401.
    """
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    known = hmac.compare_digest(given.strip().encode(), key.encode())
    if key and not (scheme.lower() == "bearer" and known):
        raise RefusedError(
            401, "invalid_api_key", "the API key is missing or wrong", "Authorization: Bearer KEY",
            headers={"WWW-Authenticate": "Bearer"},
        )  # fmt: skip


async def read_body(request: Request, limits: Limits) -> bytes:
    """The body of a request.

    Raises:
        RefusedError: it is too large (413), or does not come (408).
        GoneError: the client left while it was sent.
    """
    too_large = RefusedError(
        413, "body_too_large", f"the body is larger than {limits.max_body:,} bytes",
        "send several requests",
    )  # fmt: skip
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limits.max_body:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(limits.patience):
            while True:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise GoneError
                body += message.get("body", b"")
                if len(body) > limits.max_body:
                    raise too_large
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise RefusedError(
            408, "timeout", f"the body did not come within {limits.patience:g} s",
            headers={"Connection": "close"},
        ) from None  # fmt: skip


async def unless_gone(request: Request, waited_for: Awaitable[_T]) -> _T:
    """What is waited for, if the client, whose body is read, waits so long.

    Raises:
        GoneError: it does not.
    """
    gone = asyncio.ensure_future(_gone(request))
    wanted = asyncio.ensure_future(waited_for)
    try:
        await asyncio.wait({gone, wanted}, return_when=asyncio.FIRST_COMPLETED)
        if not wanted.done():
            raise GoneError
        return wanted.result()
    finally:
        gone.cancel()
        wanted.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
