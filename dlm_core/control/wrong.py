"""What pydantic finds wrong with a spec, in the words of an error. Light: imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dlm_core.errors import SpecError, did_you_mean

if TYPE_CHECKING:
    from pydantic import ValidationError


class WrongSpecError(SpecError, ValueError):
    """A spec made in Python that cannot be; a ValueError too, as pydantic's own was."""


class Fault(NamedTuple):
    """The first thing that is wrong, the nearest right value, and the value and field at fault."""

    message: str
    hint: str | None
    value: Any
    field: str | None


def first_fault(
    what: str, kind: str, error: ValidationError, fields: list[str], example: str | None
) -> Fault:
    """In words; `what` is control or selector, `fields` are those it has."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, WrongSpecError):  # of a spec that was made on the way
        return Fault(cause.message, cause.hint, first["input"], cause.field)
    name = str(first["loc"][0]) if first["loc"] else ""
    message = first["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    hint = example
    if first["type"] == "extra_forbidden":
        message = "no such field"
        hint = did_you_mean(name, fields)
    elif first["type"] == "missing":
        message = "is missing"
    hint = getattr(cause, "hint", None) or hint
    field = f", field '{name}'" if name else ""
    return Fault(f"{what} '{kind}'{field}: {message}", hint, first["input"], name or None)
