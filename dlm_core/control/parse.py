"""Spec strings to specs; an error shows the place and the nearest valid value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError

from dlm_core.calling import expect, owner_of, plugin_errors, plugin_name
from dlm_core.control.compose import ControlSpec, Term
from dlm_core.control.grammar import MAX_SPEC, tidy
from dlm_core.control.spec import Spec
from dlm_core.control.weight import MAX_WEIGHT, usual_weight
from dlm_core.control.wrong import first_fault
from dlm_core.errors import SpecError, did_you_mean, shorten
from dlm_core.text import half_pair, load_json, normal

_S = TypeVar("_S", bound="Spec")
_NOT = re.compile(r"\s*not\s+")
_WEIGHT = re.compile(
    r"@\s*([+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|nan|inf(?:inity)?))$", re.IGNORECASE
)


def parse_spec(source: str, kinds: Mapping[str, type[ControlSpec]]) -> Term:
    """Parse one control.

    Args:
        source: for example `semantic:food=Japanese@0.5` or `not semantic:food=Japanese`.
        kinds: the registered controls.

    Raises:
        SpecError: with the source, the place and the nearest valid value; or the contrary of a
            control that has none.
    """
    source = tidy(_bounded(normal(source)), kinds)
    match = _WEIGHT.search(source)
    negation = _NOT.match(source)
    start = negation.end() if negation else 0
    if match and not 0 <= float(match[1]) <= MAX_WEIGHT:  # NaN is not, either
        raise SpecError(
            f"a weight is a number from 0 to {MAX_WEIGHT:,.0f}",
            source=source,
            span=match.span(1),
            hint="for example @0.5 or @2",
        )
    spec = parse_kind("control", source, kinds, start, match.start() if match else None)
    weight = float(match[1]) if match else usual_weight(type(spec))
    return Term(spec, weight, source, negation is not None)


def _bounded(source: str) -> str:
    if len(source) > MAX_SPEC:
        raise SpecError(
            f"a spec has at most {MAX_SPEC:,} characters, this one {len(source):,}",
            source=source,
            span=(MAX_SPEC, MAX_SPEC + 1),
            hint="split it into several controls",
        )
    if (at := half_pair(source)) is not None:
        raise SpecError(
            "half a surrogate pair, which no text can hold",
            source=source.encode("utf-8", "replace").decode(),
            span=(at, at + 1),
        )
    return source


def parse_kind(
    what: str, source: str, kinds: Mapping[str, type[_S]], start: int = 0, end: int | None = None
) -> _S:
    """Parse KIND[:BODY] as one of `kinds`.

    Args:
        what: control or selector, for messages.
        source: what the user typed.
        kinds: the registered classes.
        start: where the kind begins in `source`.
        end: where the body ends in `source`; at its end if omitted.

    Raises:
        SpecError: with the source, the place and the nearest valid value.
    """
    source = _bounded(normal(source))
    kind, _, body = source[start:end].partition(":")
    if kind not in kinds:
        raise SpecError(
            f"unknown {what} '{shorten(kind)}'",
            source=source,
            span=(start, start + len(kind)),
            hint=did_you_mean(kind, kinds),
        )
    cls = kinds[kind]
    place = start + len(kind) + 1
    span = (place, place + len(body)) if body else (0, len(source))
    name = plugin_name(what, source, owner_of(cls))
    try:
        if body.startswith("{"):
            fields = load_json(body)
        else:
            with plugin_errors(name, "fields_from_body", passing=(ValueError,)):
                fields = expect(cls.fields_from_body(body), dict, "a dict")
        if not isinstance(fields, dict):
            raise ValueError("expected a JSON object")
    except ValueError as error:
        hint = getattr(error, "hint", None) or _example(cls)
        raise SpecError(
            f"{what} '{kind}': {shorten(str(error))}", source=source, span=span, hint=hint
        ) from error
    try:
        with plugin_errors(name, "validation", passing=(ValidationError,)):
            return cls.model_validate(fields)
    except ValidationError as error:
        raise _spec_error(what, cls, error, source, span) from error
    except SpecError as error:
        if error.source is not None:  # it shows its own place
            raise
        raise SpecError(
            error.message, source=source, span=span, hint=error.hint, field=error.field
        ) from error


def _example(cls: type[Spec]) -> str | None:
    return f"for example {cls.examples[0]}" if cls.examples else None


def _spec_error(
    what: str, cls: type[Spec], error: ValidationError, source: str, span: tuple[int, int]
) -> SpecError:
    fault = first_fault(what, cls.kind, error, [*cls.model_fields], _example(cls))
    value = fault.value
    if isinstance(value, str | int | float) and (at := source.find(str(value), span[0])) >= 0:
        span = (at, at + len(str(value)))
    return SpecError(fault.message, source=source, span=span, hint=fault.hint, field=fault.field)
