"""Specs: what a user asks for, before any tensor exists. Light: imports no torch.

    SPEC := ["not "] KIND [":" BODY] ["@" WEIGHT]
    BODY := "{" json "}"  |  field=value{,field=value}  |  positional{,positional}

Only the first `:` splits, and a comma starts a new field only if a known field name and `=` follow,
so texts may hold commas and colons. Values may stand in double quotes. `not` asks for the contrary,
log(1 - p), of a control whose p is a probability (`ControlSpec.normalised`).
Selectors are written the same way, without a weight and without `not`.

A control's spec lives in two phases: parsing (context-free) and `check(info)` against a model's
vocabulary and label files. `build(context)` then makes the torch control.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from dlm_core.errors import SpecError, UnsatisfiableError, did_you_mean, plugin_errors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dlm_core.bundle import Model, ModelInfo
    from dlm_core.corpora import Example
    from dlm_core.guidance import BuildContext, Control

_S = TypeVar("_S", bound="Spec")
_NOT = re.compile(r"\s*not\s+")
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

    def __invert__(self) -> Verdict:
        """The verdict on the contrary; what cannot be judged stays so."""
        return Verdict(
            None if self.satisfied is None else not self.satisfied,
            self.detail,
            None if self.score is None else 1.0 - self.score,
            None if self.parts is None else {name: not held for name, held in self.parts.items()},
        )


@dataclass(frozen=True)
class Lengths:
    """Numbers of words a control admits, from `low` to `high` (None: no upper bound)."""

    low: int = 1
    high: int | None = None
    among: frozenset[int] | None = None
    """The numbers themselves where they are no range."""

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Lengths:
        """Exactly these numbers."""
        found = frozenset(numbers)
        if not found:
            return cls(1, 0)
        low, high = min(found), max(found)
        return cls(low, high, None if len(found) == high - low + 1 else found)

    def __contains__(self, words: int) -> bool:
        inside = self.low <= words and (self.high is None or words <= self.high)
        return inside and (self.among is None or words in self.among)

    def __and__(self, other: Lengths) -> Lengths:
        numbers = self.among if self.among is not None else other.among
        if numbers is not None:
            return Lengths.of(n for n in numbers if n in self and n in other)
        highs = [h for h in (self.high, other.high) if h is not None]
        return Lengths(max(self.low, other.low), min(highs) if highs else None)

    @property
    def empty(self) -> bool:
        """No number of words is left."""
        return self.high is not None and self.high < self.low

    def __str__(self) -> str:
        if self.among is not None:
            starts = sorted(n for n in self.among if n - 1 not in self.among)
            ends = sorted(n for n in self.among if n + 1 not in self.among)
            runs = [f"{a}" if a == b else f"{a} to {b}" for a, b in zip(starts, ends, strict=True)]
            return f"{', '.join(runs[:-1])} or {runs[-1]} words"
        if self.high is None:
            return f"at least {self.low} words"
        if self.low == self.high:
            return f"exactly {self.low} words"
        return f"{self.low} to {self.high} words"


class Spec(BaseModel):
    """Base of whatever is written KIND[:BODY], controls and selectors; its fields are options.

    Subclasses set `kind`, `positional` and `examples`. The class docstring's first line is the help
    text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str] = ""
    """The name in front of the colon."""
    positional: ClassVar[tuple[str, ...]] = ()
    """Fields that may be given without a name, in this order."""
    examples: ClassVar[tuple[str, ...]] = ()
    """Spec strings shown in help and tried by the conformance kit."""

    def __init__(self, *args: Any, **values: Any) -> None:
        """Positional arguments fill the fields named by `positional`."""
        names = type(self).positional
        if len(args) > len(names):
            raise TypeError(f"{type(self).__name__} takes at most {len(names)} positional values")
        super().__init__(**dict(zip(names, args, strict=False)), **values)

    @classmethod
    def fields_from_body(cls, body: str) -> dict[str, Any]:
        """Split a spec's body into field values; override where keys are data (semantic)."""
        return split_body(body, tuple(cls.model_fields), cls.positional)

    def body(self) -> str:
        """The canonical body; parsing it gives an equal spec."""
        values = {k: v for k, v in self.model_dump(mode="json").items() if v is not None}
        return json.dumps(values, ensure_ascii=False)

    def __str__(self) -> str:
        return f"{self.kind}:{self.body()}" if type(self).model_fields else self.kind

    @classmethod
    def summary(cls) -> str:
        """First line of the docstring."""
        return (cls.__doc__ or "").strip().splitlines()[0] if cls.__doc__ else ""


class ControlSpec(Spec):
    """Base of all control specs: a frozen pydantic model whose fields are the control's options.

    Subclasses set `kind`, `positional` and `examples`, and write `build` and `verify`; `check`,
    `lengths`, `merge`, `contrary` and `train` where they apply. The class docstring's first line is
    the help text.
    """

    default_weight: ClassVar[float] = 1.0
    normalised: ClassVar[bool] = False
    """exp(log_prob) is the probability of an event, so that `not` has a log(1 - p)."""
    named_heads: ClassVar[bool] = False
    """A bundle keeps any number of heads of this kind, each in controls/KIND/NAME."""

    # -- what a control's author writes -------------------------------------------------------

    def check(self, info: ModelInfo) -> None:
        """Raise SpecError or UnsatisfiableError if the model cannot honour this spec."""

    def lengths(self, info: ModelInfo) -> Lengths:
        """Numbers of words this control admits."""
        return Lengths()

    def merge(self, other: ControlSpec) -> ControlSpec | None:
        """One control that asks for both, which are then met together; None if there is none."""
        return None

    def contrary(self) -> ControlSpec | None:
        """The control that asks for the contrary; None leaves it to log(1 - p)."""
        return None

    def build(self, context: BuildContext) -> Control:
        """The torch control; heavy imports belong in here."""
        raise NotImplementedError

    def bind(self, info: ModelInfo) -> Self:
        """This spec with what `verify` needs of the bundle's folder; itself if that is nothing."""
        return self

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

    def __invert__(self) -> Controls:
        """`~Semantic(food="Japanese")`: not this.

        Raises:
            SpecError: the control is not `normalised`.
        """
        return Controls((Term(self, self.default_weight, negated=True),))

    def __mul__(self, weight: float) -> Controls:
        return Controls((Term(self, float(weight)),))

    __rmul__ = __mul__

    def __add__(self, other: ControlSpec | Controls) -> Controls:
        return as_controls(self) + other


@dataclass(frozen=True)
class Term:
    """One weighted control, or its contrary; `source` is the spec as the user typed it.

    Raises:
        SpecError: the contrary of a control that is not `normalised`.
    """

    spec: ControlSpec
    weight: float = 1.0
    source: str | None = None
    negated: bool = False

    def __post_init__(self) -> None:
        if self.negated and not self.spec.normalised:
            raise SpecError(
                f"control '{self.spec.kind}' has no contrary: it gives no normalised probability "
                "p, and log(1 - p) would mean nothing",
                source=self.label,
                hint=f"'dlm controls show {self.spec.kind}' tells what it can be asked",
            )

    def __str__(self) -> str:
        name = f"not {self.spec}" if self.negated else str(self.spec)
        if self.weight == self.spec.default_weight:
            return name
        short = f"{self.weight:g}"  # six digits, where they say it all
        return f"{name}@{short if float(short) == self.weight else repr(self.weight)}"

    @property
    def label(self) -> str:
        """As typed, or the canonical form."""
        return self.source or str(self)

    def lengths(self, info: ModelInfo) -> Lengths:
        """Numbers of words it admits: of a contrary, any."""
        return Lengths() if self.negated else self.spec.lengths(info)

    def verify(self, text: str, info: ModelInfo) -> Verdict:
        """Judge a text of the model `info`, for the contrary if that is asked."""
        verdict = self.spec.bind(info).verify(text)
        return ~verdict if self.negated else verdict

    def _with(self, other: Term) -> Term | None:
        """Both as one, if their specs merge."""
        with self.named_errors("merge"):
            spec = self.spec.merge(other.spec) or other.spec.merge(self.spec)
        label = f"{self.label} + {other.label}"
        return None if spec is None else Term(spec, max(self.weight, other.weight), label)

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
        return Controls(tuple(replace(t, weight=t.weight * weight) for t in self.terms))

    __rmul__ = __mul__

    def __str__(self) -> str:
        return " + ".join(map(str, self.terms))

    def __iter__(self) -> Iterator[Term]:
        return iter(self.terms)

    def __len__(self) -> int:
        return len(self.terms)

    def merged(self) -> Controls:
        """These controls, those that merge as one term of the largest weight among them."""
        terms: list[Term] = []
        for term in self.terms:
            if term.negated and (contrary := term.spec.contrary()) is not None:
                term = Term(contrary, term.weight, term.label)
            for k, earlier in enumerate(terms):
                if not (term.negated or earlier.negated) and (both := earlier._with(term)):
                    terms[k] = both
                    break
            else:
                terms.append(term)
        return Controls(tuple(terms))

    def check(self, info: ModelInfo) -> Lengths:
        """Check each control and that together they admit some number of words.

        Raises:
            SpecError: a value the model does not know.
            UnsatisfiableError: two controls contradict, or a text would be longer than the model's.
        """
        model = Lengths(1, info.max_words)
        common = model
        seen: list[tuple[Term, Lengths]] = []
        merged = [term for term in self.merged() if term not in self.terms]
        for term in (*self.terms, *merged):
            with term.named_errors("check"):
                term.spec.check(info)
            with term.named_errors("lengths"):
                wanted = term.lengths(info)
            if (wanted & model).empty:
                raise UnsatisfiableError(
                    f"control '{term.label}' wants {wanted}; this model writes {model}",
                    f"ask for at most {info.max_words} words",
                )
            for other, lengths in seen:
                if other.spec == term.spec and other.negated != term.negated:
                    raise UnsatisfiableError(
                        f"controls '{other.label}' and '{term.label}' contradict", "drop one"
                    )
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
    found = re.finditer(field + r'(?:\s*"[^"]*"(?=\s*(?:,|$)))?', body)
    starts = list(found) if names else []
    fields: dict[str, Any] = {}
    head = body[: starts[0].start()] if starts else body
    if head.strip():
        if not names:
            raise ValueError("takes no options")
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
    """Parse one control.

    Args:
        source: for example `semantic:food=Japanese@0.5` or `not semantic:food=Japanese`.
        kinds: the registered controls.

    Raises:
        SpecError: with the source, the place and the nearest valid value; or the contrary of a
            control that has none.
    """
    match = _WEIGHT.search(source)
    negation = _NOT.match(source)
    start = negation.end() if negation else 0
    spec = parse_kind("control", source, kinds, start, match.start() if match else None)
    weight = float(match[1]) if match else spec.default_weight
    return Term(spec, weight, source, negation is not None)


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
    kind, _, body = source[start:end].partition(":")
    if kind not in kinds:
        raise SpecError(
            f"unknown {what} '{kind}'",
            source=source,
            span=(start, start + len(kind)),
            hint=did_you_mean(kind, kinds),
        )
    cls = kinds[kind]
    place = start + len(kind) + 1
    span = (place, place + len(body)) if body else (0, len(source))
    try:
        fields = json.loads(body) if body.startswith("{") else cls.fields_from_body(body)
        if not isinstance(fields, dict):
            raise ValueError("expected a JSON object")
    except ValueError as error:
        hint = getattr(error, "hint", None) or _example(cls)
        raise SpecError(f"{what} '{kind}': {error}", source=source, span=span, hint=hint) from error
    try:
        return cls.model_validate(fields)
    except ValidationError as error:
        raise _spec_error(what, cls, error, source, span) from error
    except SpecError as error:
        if error.source is not None:  # it shows its own place
            raise
        raise SpecError(error.message, source=source, span=span, hint=error.hint) from error


def _example(cls: type[Spec]) -> str | None:
    return f"for example {cls.examples[0]}" if cls.examples else None


def _spec_error(
    what: str, cls: type[Spec], error: ValidationError, source: str, span: tuple[int, int]
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
    return SpecError(f"{what} '{cls.kind}'{field}: {message}", source=source, span=span, hint=hint)


class SpecValueError(ValueError):
    """Raise in a validator to give the user a hint beside the message."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


__all__ = [
    "ControlSpec",
    "Controls",
    "Lengths",
    "Spec",
    "SpecValueError",
    "Term",
    "Verdict",
    "as_controls",
    "parse_kind",
    "parse_spec",
    "split_body",
    "unquote",
]
