"""What can be asked of a server: its model, its controls, how it is."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dlm_cli.controls import head_state
from dlm_cli.models import parameter_count
from dlm_cli.serve.clients import check_key
from dlm_cli.serve.errors import RefusedError
from dlm_core.calling import plugin_errors
from dlm_core.control.weight import control_name, usual_weight
from dlm_core.errors import DLMError, did_you_mean
from dlm_core.selection import check_selector, parse_selector
from dlm_core.text import load_json

if TYPE_CHECKING:
    from dlm_cli.generate.job import Job
    from dlm_cli.serve.service import Service
    from dlm_core.control.compose import ControlSpec
    from dlm_core.plugins.registry import Plugins

router = APIRouter()
_STARTED = int(time.time())
_OFFERS = 20


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _let_in(request: Request) -> Service:
    """The service, for a client that knows its key."""
    service = _service(request)
    check_key(request, service.key)
    return service


@router.get("/v1/models")
def models(request: Request) -> Response:
    """The model, as OpenAI lists its own."""
    return JSONResponse({"object": "list", "data": [_model(_let_in(request))]})


@router.get("/v1/models/{name:path}")
def model(name: str, request: Request) -> Response:
    """The model by its name."""
    service = _let_in(request)
    if name != service.name:
        raise RefusedError.no_model(name, service.name)
    return JSONResponse(_model(service))


@router.get("/v1/controls")
def controls(request: Request) -> Response:
    """Every control with the JSON schema of its fields, plugins' too."""
    service = _let_in(request)
    kinds = sorted(service.job.plugins.controls.items())
    data = [_control(kind, cls, service.job) for kind, cls in kinds]
    return JSONResponse({"object": "list", "data": data})


@router.get("/v1/controls/{kind}/values")
def values(kind: str, request: Request, field: str, typed: str = "", given: str = "{}") -> Response:
    """What a field may go on with; `given` has the other fields, as JSON."""
    service = _let_in(request)
    known = service.job.plugins.controls
    if kind not in known:
        hint = did_you_mean(kind, known)
        raise RefusedError(404, "not_found", f"no control '{kind[:80]}'", hint, param="kind")
    try:
        others = load_json(given)
    except ValueError as error:
        raise RefusedError(400, "invalid_request", f"given: {error}", param="given") from error
    if not isinstance(others, dict):
        raise RefusedError(400, "invalid_request", "given: expected an object", param="given")
    provider = service.job.plugins.origin("control", kind)
    with plugin_errors(control_name(kind, provider), "known_values"):
        offers = _going_on(typed, list(known[kind].known_values(field, others, service.job.info)))
    return JSONResponse({"object": "list", "data": offers})


def _going_on(typed: str, known: Sequence[str]) -> list[str]:
    """Values that begin as what is typed does, or go on from its last word."""
    last = re.search(r"[^\s,]*$", typed)
    assert last is not None
    before = typed[: last.start()]
    whole = (value for value in known if value.casefold().startswith(typed.casefold()))
    words = (value for value in known if value.casefold().startswith(last[0].casefold()))
    more = (before + value for value in words) if before else ()
    return list(dict.fromkeys(islice(chain(whole, more), _OFFERS)))


@router.get("/v1/selectors")
def selectors(request: Request) -> Response:
    """What can choose among the texts of a request, with the examples that work here."""
    service = _let_in(request)
    plugins = service.job.plugins
    data = [
        {
            "kind": kind,
            "summary": cls.summary(),
            "examples": [spec for spec in cls.examples if _works(spec, plugins)],
            "provider": plugins.origin("selector", kind),
        }
        for kind, cls in sorted(plugins.selectors.items())
    ]
    return JSONResponse({"object": "list", "data": data})


def _works(spec: str, plugins: Plugins) -> bool:
    """The selector names no path and has all that it needs."""
    try:
        selector = parse_selector(spec, plugins.selectors)
        check_selector(selector)
    except DLMError:
        return False
    return not any(isinstance(value, Path) for value in dict(selector).values())


@router.get("/health")
def health(request: Request) -> Response:
    """200 while requests are let in, 503 once the server is being stopped."""
    service = _service(request)
    status = "stopping" if service.stopping else "ok"
    waiting = service.batcher.texts_waiting
    state = {"status": status, "model": service.name, "texts_waiting": waiting}
    return JSONResponse(state, 503 if service.stopping else 200)


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Counts for Prometheus."""
    return Response(_service(request).meters.page(), media_type=CONTENT_TYPE_LATEST)


def _model(service: Service) -> dict[str, Any]:
    info = service.job.info
    own = {
        "sha256": info.sha256,
        "parameters": parameter_count(info),
        "vocabulary": len(info.vocab),
        "max_words": min(service.limits.max_words or info.max_words, info.max_words),
        "max_n": service.limits.max_n,
        "heads": info.heads,
    }
    return {
        "id": service.name,
        "object": "model",
        "created": _STARTED,
        "owned_by": "dlm",
        "dlm": own,
    }


def _control(kind: str, cls: type[ControlSpec], job: Job) -> dict[str, Any]:
    """A control; of one whose plugin cannot say it, what went wrong."""
    provider = job.plugins.origin("control", kind)
    try:
        with plugin_errors(control_name(kind, provider), "model_json_schema"):
            return {
                "kind": kind,
                "summary": cls.summary(),
                "examples": list(cls.examples),
                "positional": list(cls.positional),
                "schema": cls.model_json_schema(),
                "default_weight": usual_weight(cls),
                "negatable": cls.normalised,
                "head": head_state(cls, job.info),
                "provider": provider,
            }
    except DLMError as error:
        return {"kind": kind, "provider": provider, "error": RefusedError.of(error).body["error"]}
