"""The web app: its routes, and how errors are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dlm_cli.serve import completions, listing, page
from dlm_cli.serve.doors import Doors
from dlm_cli.serve.errors import RefusedError
from dlm_core.errors import DLMError
from dlm_core.version import VERSION

if TYPE_CHECKING:
    from dlm_cli.serve.service import Service


def make_app(service: Service) -> FastAPI:
    """The app of a service."""
    # FastAPI's own pages of documentation load scripts from elsewhere
    app = FastAPI(title="dlm", version=VERSION, docs_url=None, redoc_url=None)
    app.state.service = service
    app.add_middleware(Doors, service=service)
    for room in (completions, listing, page):
        app.include_router(room.router)
    app.add_exception_handler(DLMError, _told)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_exception_handler(Exception, _told)
    return app


async def _told(_: Request, error: Exception) -> Response:
    return RefusedError.of(error).response()


async def _no_route(request: Request, error: Exception) -> Response:
    """No such path, or not with this method."""
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
    message = f"{request.method} {request.url.path[:80]}: {error.detail}"
    hint = "GET / lists what there is"
    return RefusedError(error.status_code, code, message, hint, headers=error.headers).response()
