"""What stands at `/`: a page for people; for programs, the list of what there is."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from dlm_core.version import VERSION
from dlm_core.view import page as view

router = APIRouter()
_HERE = Path(__file__).parent / "static"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; script-src 'self'; "
    "style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # it may be another version's after a restart
}


@router.get("/")
def root(request: Request) -> Response:
    """The page, where a browser asks."""
    if "text/html" in request.headers.get("accept", ""):
        return _file(_HERE / "page.html")
    return PlainTextResponse(
        f"dlm {VERSION} serves {request.app.state.service.name}\n\n"
        "GET  /                 a page to try it, in a browser\n"
        "POST /v1/completions   texts under controls\n"
        "GET  /v1/controls      what can be asked\n"
        "GET  /v1/selectors     what can choose among texts\n"
        "GET  /v1/models        the model\n"
        "GET  /health /metrics /openapi.json\n",
        headers={"Vary": "Accept"},
    )


@router.get("/page/{name}")
def part(name: str) -> Response:
    """The page's own scripts and styles, and those of a trace."""
    if name in ("view.js", "view.css"):
        return _file(view.FOLDER / name)
    if name in ("page.js", "page.css", "fields.js"):
        return _file(_HERE / name)
    return PlainTextResponse("no such file\n", 404)


def _file(path: Path) -> Response:
    return FileResponse(path, headers=_HEADERS)
