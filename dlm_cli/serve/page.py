"""What stands at `/`."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from dlm_core.version import VERSION

router = APIRouter()


@router.get("/")
def root(request: Request) -> PlainTextResponse:
    """What there is."""
    return PlainTextResponse(
        f"dlm {VERSION} serves {request.app.state.service.name}\n\n"
        "POST /v1/completions   texts under controls\n"
        "GET  /v1/controls      what can be asked\n"
        "GET  /v1/models        the model\n"
        "GET  /health /metrics /openapi.json\n"
    )
