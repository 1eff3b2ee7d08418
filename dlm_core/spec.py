"""Control specs: what a user asks for, before any tensor exists. Light: imports no torch.

    SPEC := KIND [":" BODY] ["@" WEIGHT]
    BODY := "{" json "}"  |  field=value{,field=value}  |  positional{,positional}

Only the first `:` splits, and a comma starts a new field only if a known field name and `=` follow,
so texts may hold commas and colons. Values may stand in double quotes.

A spec lives in two phases: parsing (context-free) and `check(info)` against a model's vocabulary
and label files. `build(context)` then makes the torch control.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from dlm_core.errors import SpecError, UnsatisfiableError, did_you_mean, plugin_errors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dlm_core.bundle import Model, ModelInfo
    from dlm_core.corpora import Example
    from dlm_core.guidance import BuildContext, Control

_WEIGHT = re.compile(r"@((?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)$")


@dataclass(frozen=True)
class Verdict:
    """Does a text satisfy a control?

    Attributes:
        satisfied: True, False, or None where it cannot be judged here (`detail` says why).
        detail: one line for the person.
        score: share of the control that holds, in [0, 1]; 1.0 or 0.0 unless it has parts.
        parts: further named verdicts, `right_field` say.
    """

    satisfied: bool | None
    detail: str = ""
    score: float | None = None
    parts: Mapping[str, bool] | None = None

    @property
    def share(self) -> float | None:
        """`score`, or 1.0 / 0.0 from `satisfied`."""
        if self.score is not None or self.satisfied is None:
            return self.score
        return float(self.satisfied)


@dataclass(frozen=True)
class Lengths:
    """Numbers of words a control admits, from `low` to `high` (None: no upper bound)."""

    low: int = 1
    high: int | None = None

    def __and__(self, other: Lengths) -> Lengths:
        highs = [h for h in (self.high, other.high) if h is not None]
        return Lengths(max(self.low, other.low), min(highs) if highs else None)

    @property
    def empty(self) -> bool:
        """No number of words is left."""
        return self.high is not None and self.high < self.low

    def __str__(self) -> str:
        if self.high is None:
            return f"at least {self.low} words"
        if self.low == self.high:
            return f"exactly {self.low} words"
        return f"{self.low} to {self.high} words"


class ControlSpec(BaseModel):
    """Base of all control specs: a frozen pydantic model whose fields are the control's options.

    Subclasses set `kind`, `positional` and `examples`, and write `build` and `verify`; `check`,
    `lengths` and `train` where they apply. The class docstring's first line is the help text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str] = ""
    """The name in front of the colon."""
    positional: ClassVar[tuple[str, ...]] = ()
    """Fields that may be given without a name, in this order."""
    examples: ClassVar[tuple[str, ...]] = ()
    """Spec strings shown in help and tried by the conformance kit."""
    default_weight: ClassVar[float] = 1.0

    def __init__(self, *args: Any, **values: Any) -> None:
        """Positional arguments fill the fields named by `positional`."""
        names = type(self).positional
        if len(args) > len(names):
            raise TypeError(f"{type(self).__name__} takes at most {len(names)} positional values")
        super().__init__(**dict(zip(names, args, strict=False)), **values)

    # -- what a control's author writes -------------------------------------------------------

    @classmethod
    def fields_from_body(cls, body: str) -> dict[str, Any]:
        """Split a spec's body into field values; override where keys are data (semantic)."""
        return split_body(body, tuple(cls.model_fields), cls.positional)

    def body(self) -> str:
        """The canonical body; parsing it gives an equal spec."""
        values = {k: v for k, v in self.model_dump(mode="json").items() if v is not None}
        return json.dumps(values, ensure_ascii=False)

    def check(self, info: ModelInfo) -> None:
        """Raise SpecError or UnsatisfiableError if the model cannot honour this spec."""

    def lengths(self, info: ModelInfo) -> Lengths:
        """Numbers of words this control admits."""
        return Lengths()

    def build(self, context: BuildContext) -> Control:
        """The torch control; heavy imports belong in here."""
        raise NotImplementedError

    def verify(self, text: str) -> Verdict:
        """Judge a finished text, without the diffusion model."""
        raise NotImplementedError

    @classmethod
    def train(
        cls, model: Model, examples: Sequence[Example], out: Path, **options: Any
    ) -> dict[str, float]:
        """Train this control's head on a corpus and write it into `out`; returns its figures."""
        raise NotImplementedError

    # -- composition --------------------------------------------------------------------------

    def __str__(self) -> str:
        return f"{self.kind}:{self.body()}"

    def __mul__(self, weight: float) -> Controls:
        return Controls((Term(self, float(weight)),))

    __rmul__ = __mul__

    def __add__(self, other: ControlSpec | Controls) -> Controls:
        return as_controls(self) + other

    @classmethod
    def summary(cls) -> str:
        """First line of the docstring."""
        return (cls.__doc__ or "").strip().splitlines()[0] if cls.__doc__ else ""


@dataclass(frozen=True)
class Term:
    """One weighted control; `source` is the spec as the user typed it."""

    spec: ControlSpec
    weight: float = 1.0
    source: str | None = None

    def __str__(self) -> str:
        if self.weight == self.spec.default_weight:
            return str(self.spec)
        short = f"{self.weight:g}"  # six digits, where they say it all
        return f"{self.spec}@{short if float(short) == self.weight else repr(self.weight)}"

    @property
    def label(self) -> str:
        """As typed, or the canonical form."""
        return self.source or str(self)

    def named_errors(self, stage: str, owner: str = "") -> AbstractContextManager[None]:
        """Turn whatever the spec's own code raises into a PluginError that names it.

        Args:
            stage: what is being called: check, lengths, build, verify.
            owner: distribution and version that provide the control.
        """
        return plugin_errors(control_name(self.label, owner), stage)


@dataclass(frozen=True)
class Controls:
    """A weighted sum of controls: `Semantic(food="Japanese") + 0.5 * Length(12)`."""

    terms: tuple[Term, ...] = ()

    def __add__(self, other: ControlSpec | Controls) -> Controls:
        return Controls(self.terms + as_controls(other).terms)

    def __mul__(self, weight: float) -> Controls:
        return Controls(tuple(Term(t.spec, t.weight * weight, t.source) for t in self.terms))

    __rmul__ = __mul__

    def __str__(self) -> str:
        return " + ".join(map(str, self.terms))

    def __iter__(self) -> Iterator[Term]:
        return iter(self.terms)

    def __len__(self) -> int:
        return len(self.terms)

    def check(self, info: ModelInfo) -> Lengths:
        """Check each control and that together they admit some number of words.

        Raises:
            SpecError: a value the model does not know.
            UnsatisfiableError: two controls contradict, or a text would be longer than the model's.
        """
        model = Lengths(1, info.max_words)
        common = model
        seen: list[tuple[Term, Lengths]] = []
        for term in self.terms:
            with term.named_errors("check"):
                term.spec.check(info)
            with term.named_errors("lengths"):
                wanted = term.spec.lengths(info)
            if (wanted & model).empty:
                raise UnsatisfiableError(
                    f"control '{term.label}' wants {wanted}; this model writes {model}",
                    f"ask for at most {info.max_words} words",
                )
            for other, lengths in seen:
                if (wanted & lengths).empty:
                    raise UnsatisfiableError(
                        f"controls '{other.label}' ({lengths}) and '{term.label}' ({wanted}) "
                        "contradict: no text has both lengths",
                        "drop one of them, or let one have a range",
                    )
            seen.append((term, wanted))
            common = common & wanted
        if common.empty:
            raise UnsatisfiableError("the controls admit no common number of words")
        return common


def control_name(label: str, owner: str = "") -> str:
    """A control as errors name it: `control 'length:5' from dlm 0.1.0`."""
    return f"control '{label}'" + (f" from {owner}" if owner else "")


def as_controls(value: ControlSpec | Controls | Iterable[ControlSpec] | None) -> Controls:
    """Whatever a caller may pass for controls, as `Controls`."""
    if value is None:
        return Controls()
    if isinstance(value, Controls):
        return value
    if isinstance(value, ControlSpec):
        return Controls((Term(value, value.default_weight),))
    return Controls(tuple(term for item in value for term in as_controls(item)))


# -- parsing ----------------------------------------------------------------------------------


def unquote(value: str) -> str:
    """Strip blanks and one pair of double quotes."""
    value = value.strip()
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] == '"' else value


def split_body(body: str, names: tuple[str, ...], positional: tuple[str, ...]) -> dict[str, Any]:
    """`field=value,...` or `positional,...` to a dict; the last positional takes the rest.

    Raises:
        ValueError: more positionals than the control has, or a field twice.
    """
    # A quoted value is taken whole, whatever stands in it.
    field = rf"(?:^|,)\s*({'|'.join(map(re.escape, names))})="
    starts = list(re.finditer(field + r'(?:\s*"[^"]*"(?=\s*(?:,|$)))?', body))
    fields: dict[str, Any] = {}
    head = body[: starts[0].start()] if starts else body
    if head.strip():
        if not positional:
            raise ValueError(f"expected field=value; fields: {', '.join(names)}")
        parts = head.split(",", len(positional) - 1)
        fields.update({n: unquote(p) for n, p in zip(positional, parts, strict=False)})
    for k, match in enumerate(starts):
        end = starts[k + 1].start() if k + 1 < len(starts) else len(body)
        if match[1] in fields:
            raise ValueError(f"field '{match[1]}' is given twice")
        fields[match[1]] = unquote(body[match.end(1) + 1 : end])
    return fields


def parse_spec(source: str, kinds: Mapping[str, type[ControlSpec]]) -> Term:
    """Parse one spec string.

    Args:
        source: for example `semantic:food=Japanese@0.5`.
        kinds: the registered controls.

    Raises:
        SpecError: with the source, the place and the nearest valid value.
    """
    body = source
    weight = None
    if (match := _WEIGHT.search(source)) is not None:
        weight = float(match[1])
        body = source[: match.start()]
    kind, _, body = body.partition(":")
    if kind not in kinds:
        raise SpecError(
            f"unknown control '{kind}'",
            source=source,
            span=(0, len(kind)),
            hint=did_you_mean(kind, kinds),
        )
    cls = kinds[kind]
    start = len(kind) + 1
    span = (start, start + len(body)) if body else (0, len(source))
    try:
        fields = json.loads(body) if body.startswith("{") else cls.fields_from_body(body)
        if not isinstance(fields, dict):
            raise ValueError("expected a JSON object")
    except ValueError as error:
        hint = getattr(error, "hint", None) or _example(cls)
        raise SpecError(
            f"control '{kind}': {error}", source=source, span=span, hint=hint
        ) from error
    try:
        spec = cls.model_validate(fields)
    except ValidationError as error:
        raise _spec_error(cls, error, source, span) from error
    except SpecError as error:
        raise SpecError(error.message, source=source, span=span, hint=error.hint) from error
    return Term(spec, cls.default_weight if weight is None else weight, source)


def _example(cls: type[ControlSpec]) -> str | None:
    return f"for example {cls.examples[0]}" if cls.examples else None


def _spec_error(
    cls: type[ControlSpec], error: ValidationError, source: str, span: tuple[int, int]
) -> SpecError:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    message = first["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    hint = _example(cls)
    if first["type"] == "extra_forbidden":
        message = "no such field"
        hint = did_you_mean(name, cls.model_fields)
    elif first["type"] == "missing":
        message = "is missing"
    cause = first.get("ctx", {}).get("error")
    hint = getattr(cause, "hint", None) or hint
    value = first["input"]
    if isinstance(value, str | int | float) and (at := source.find(str(value), span[0])) >= 0:
        span = (at, at + len(str(value)))
    field = f", field '{name}'" if name else ""
    return SpecError(f"control '{cls.kind}'{field}: {message}", source=source, span=span, hint=hint)


class SpecValueError(ValueError):
    """Raise in a validator to give the user a hint beside the message."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


__all__ = [
    "ControlSpec",
    "Controls",
    "Lengths",
    "SpecValueError",
    "Term",
    "Verdict",
    "as_controls",
    "parse_spec",
    "split_body",
    "unquote",
]
