"""What a client is told: any error as a status and OpenAI's JSON, with the place and the hint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from starlette.responses import JSONResponse

from dlm_cli.requests.lines import as_dlm_error
from dlm_cli.requests.recipes import WrongKeyError
from dlm_core.errors import (
    DLMError,
    MissingError,
    PluginError,
    SpecError,
    UnsatisfiableError,
    UsageError,
    did_you_mean,
)

_CODES: tuple[tuple[type[DLMError], int, str], ...] = (
    (SpecError, 400, "invalid_control"),
    (UsageError, 400, "invalid_request"),
    (UnsatisfiableError, 400, "unsatisfiable"),
    (MissingError, 400, "missing"),  # of this server; asking again does not help
    (PluginError, 500, "plugin_failed"),
    (DLMError, 500, "internal_error"),
)
_TYPES = {401: "authentication_error", 429: "rate_limit_error"}


class RefusedError(DLMError):
    """A request that is answered with an error.

    Args:
        status: of the answer.
        code: one word for programs.
        message: as on the command line.
        hint: what to try next.
        param: the key of the request that it is about.
        place: `source`, `span` and `field`, of a spec that cannot be.
        headers: of the answer.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        hint: str | None = None,
        *,
        param: str | None = None,
        place: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.status, self.code, self.param = status, code, param
        self.place, self.headers = dict(place or {}), dict(headers or {})

    @classmethod
    def of(cls, error: Exception, param: str | None = None) -> RefusedError:
        """Any exception; `param` where the error does not know its key."""
        if isinstance(error, cls):
            return error
        told = as_dlm_error(error)
        status, code = next((s, c) for kind, s, c in _CODES if isinstance(told, kind))
        place: dict[str, Any] = {}
        if isinstance(told, SpecError):
            place = {"source": told.source, "span": told.span, "field": told.field}
            place = {key: value for key, value in place.items() if value is not None}
        if isinstance(told, WrongKeyError):
            param = told.key
        return cls(status, code, told.message, told.hint, param=param, place=place)

    @classmethod
    def no_model(cls, name: str, served: str) -> RefusedError:
        """A client named another model than the one that is served."""
        return cls(
            404, "model_not_found", f"no model '{name[:80]}' is served here",
            did_you_mean(name, [served]), param="model",
        )  # fmt: skip

    def response(self) -> JSONResponse:
        """The answer."""
        return JSONResponse(self.body, self.status, self.headers)

    @property
    def body(self) -> dict[str, Any]:
        """OpenAI's form, with `hint` and the place beside it."""
        usual = "server_error" if self.status >= 500 else "invalid_request_error"
        return {
            "error": {
                "message": self.message,
                "type": _TYPES.get(self.status, usual),
                "param": self.param,
                "code": self.code,
                "hint": self.hint,
                **self.place,
            }
        }
