"""What is asked: a control (`ControlSpec`), weighted or negated (`Term`), and sums (`Controls`).

Light: imports no torch. A control's spec lives in two phases: parsing (context-free, `parse`) and
`check(info)` against a model's vocabulary and label files. `build(context)` then makes the torch
control.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

from dlm_core.calling import WrongReturnError, expect, expect_or_none, owner_of, plugin_errors
from dlm_core.control.lengths import Lengths
from dlm_core.control.spec import Spec
from dlm_core.control.verdict import Verdict
from dlm_core.control.weight import checked_weight, control_name, usual_weight
from dlm_core.errors import SpecError, UnsatisfiableError, UsageError
from dlm_core.natural import tokenise
from dlm_core.text import normal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dlm_core.bundle import Model, ModelInfo
    from dlm_core.control.protocol import BuildContext, Control
    from dlm_core.corpora import Example

    One: TypeAlias = "ControlSpec | Controls | Term | str | int"
    Asked: TypeAlias = "One | Iterable[One] | None"
    """What stands for controls; 0 is an empty sum."""

MAX_CONTROLS = 64
"""Of one request: each pair of them is compared, and each costs a step something."""


class ControlSpec(Spec):
    """Base of all control specs: a frozen pydantic model whose fields are the control's options.

    Subclasses set `kind`, `positional` and `examples`, and write `build` and `verify`; `check`,
    `lengths`, `merge`, `contrary` and `train` where they apply. The class docstring's first line is
    the help text.
    """

    _what: ClassVar[str] = "control"
    default_weight: ClassVar[float] = 1.0
    normalised: ClassVar[bool] = False
    """exp(log_prob) is the probability of an event, so that `not` has a log(1 - p)."""
    named_heads: ClassVar[bool] = False
    """A bundle keeps any number of heads of this kind, each in controls/KIND/NAME."""
    head: ClassVar[str] = ""
    """The kind whose trained head steers it, in controls/KIND of the bundle; empty for its own."""
    whole_words: ClassVar[bool] = True
    """It takes each position for a word: texts then have no words that are spelled in pieces."""

    # -- what a control's author writes -------------------------------------------------------

    def check(self, info: ModelInfo) -> None:
        """Raise SpecError or UnsatisfiableError if the model cannot honour this spec."""

    def lengths(self, info: ModelInfo) -> Lengths:
        """Numbers of words this control admits."""
        return Lengths()

    def needs_pieces(self, info: ModelInfo) -> str | None:
        """A word it asks for that this model spells in pieces, or None."""
        return None

    def in_pieces(self, info: ModelInfo) -> ControlSpec | None:
        """What asks for the same where this model spells words in pieces; None if nothing can."""
        return None if self.whole_words else self

    def merge(self, other: ControlSpec) -> ControlSpec | None:
        """One control that asks for both, which are then met together; None if there is none."""
        return None

    def excludes(self, other: ControlSpec, info: ModelInfo) -> str | None:
        """Why no text can meet both, or None."""
        return None

    def implied_by(self, other: ControlSpec, info: ModelInfo) -> str | None:
        """Why every text that meets `other` meets this, so that `not` excludes it, or None."""
        return "one is the contrary of the other" if self == other else None

    @classmethod
    def together(cls, specs: Sequence[Self], info: ModelInfo) -> Lengths:
        """Numbers of words that texts have which meet all of these specs of one kind."""
        return Lengths()

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

    def judged_by(self) -> str:
        """Names and versions of what `verify` asks beside the text, for a result's signature."""
        return ""

    def head_folder(self, info: ModelInfo) -> Path:
        """Where the head that steers it lies, if it has one."""
        return info.head_path(self.head or self.kind)

    def verify_not(self, text: str) -> Verdict:
        """Judge a finished text for the contrary."""
        return ~self.verify(text)

    @classmethod
    def text_faults(cls, words: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """What is wrong with a text whatever was asked: fault -> lines, none where it has none."""
        return {}

    @classmethod
    def train(
        cls, model: Model, examples: Sequence[Example], out: Path, **options: Any
    ) -> dict[str, float]:
        """Train its head on a corpus (`training.heads.train_head`) into `out`; returns figures."""
        raise NotImplementedError

    # -- composition --------------------------------------------------------------------------

    def __invert__(self) -> Controls:
        """`~Semantic(food="Japanese")`: not this.

        Raises:
            SpecError: the control is not `normalised`.
        """
        return Controls((Term(self, usual_weight(type(self)), negated=True),))

    def __mul__(self, weight: float) -> Controls:
        return Controls((Term(self, weight),))

    __rmul__ = __mul__

    def __add__(self, other: Asked) -> Controls:
        return as_controls(self) + other

    def __radd__(self, other: Asked) -> Controls:
        return as_controls(other) + self


@dataclass(frozen=True)
class Term:
    """One weighted control, or its contrary; `source` is the spec as the user typed it.

    Raises:
        SpecError: the contrary of a control that is not `normalised`, or the weight is not a
            number from 0 to `MAX_WEIGHT`.
    """

    spec: ControlSpec
    weight: float = 1.0
    source: str | None = None
    negated: bool = False

    def __post_init__(self) -> None:
        weight = checked_weight(self.weight, self.source or str(self.spec))
        object.__setattr__(self, "weight", weight)
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

    def check(self, info: ModelInfo) -> None:
        """Check what is asked: of a negated control its contrary, where it has one."""
        contrary = self.spec.contrary() if self.negated else None
        with self.named_errors("check"):
            found: object = (contrary or self.spec).check(info)  # type: ignore[func-returns-value]
            expect(found, type(None), "nothing: it raises SpecError or UnsatisfiableError")

    def lengths(self, info: ModelInfo) -> Lengths:
        """Numbers of words it admits: of a contrary, any."""
        if self.negated:
            return Lengths()
        with self.named_errors("lengths"):
            wanted = expect(self.spec.lengths(info), Lengths, "Lengths")
            if fault := wanted.fault:
                raise WrongReturnError(*fault)
        return wanted

    def verify(self, text: str, info: ModelInfo) -> Verdict:
        """Judge a text, natural or in tokens of the model, for the contrary if that is asked."""
        with self.named_errors("bind"):
            spec = expect(self.spec.bind(info), ControlSpec, "a ControlSpec")
        with self.named_errors("verify"):
            judge = spec.verify_not if self.negated else spec.verify
            tokens = " ".join(tokenise(normal(text), info.vocab))
            verdict = expect(judge(tokens), Verdict, "a Verdict")
            if fault := verdict.fault:
                raise WrongReturnError(*fault)
        return verdict

    def excludes(self, other: Term, info: ModelInfo) -> str | None:
        """Why no text can meet both terms, or None; each of the two specs is asked."""
        if self.negated and other.negated:
            return None
        for term, beside in ((self, other), (other, self)):
            with term.named_errors("excludes"):
                if term.negated:
                    reason = term.spec.implied_by(beside.spec, info)
                else:
                    reason = None if beside.negated else term.spec.excludes(beside.spec, info)
                if not isinstance(reason, str | None):
                    raise WrongReturnError(type(reason).__name__, "a str or None")
            if reason is not None:
                return reason
        return None

    def _with(self, other: Term) -> Term | None:
        """Both as one, if their specs merge."""
        for term, beside in ((self, other), (other, self)):
            with term.named_errors("merge"):
                spec = expect_or_none(term.spec.merge(beside.spec), ControlSpec)
            if spec is not None:
                label = f"{self.label} + {other.label}"
                return Term(spec, max(self.weight, other.weight), label)
        return None

    def _contrary(self) -> Term | None:
        """A contrary as the control that asks for it, if there is one."""
        with self.named_errors("contrary"):
            spec = expect_or_none(self.spec.contrary(), ControlSpec)
        return None if spec is None else Term(spec, self.weight, self.label)

    def named_errors(self, stage: str, owner: str = "") -> AbstractContextManager[None]:
        """Turn whatever the spec's own code raises into a PluginError that names it.

        `stage` is what is called; `owner` provides the control, who registered it if omitted.
        """
        return plugin_errors(control_name(self.label, owner or owner_of(type(self.spec))), stage)


@dataclass(frozen=True)
class Controls:
    """A weighted sum of controls: `Semantic(food="Japanese") + 0.5 * Length(12)`.

    Raises:
        UsageError: there are more than `MAX_CONTROLS`.
    """

    terms: tuple[Term, ...] = ()

    def __post_init__(self) -> None:
        if len(self.terms) > MAX_CONTROLS:
            raise UsageError(
                f"{len(self.terms):,} controls in one request; at most {MAX_CONTROLS} can be asked",
                "one control can hold many: avoid:cheap,expensive",
            )

    def __add__(self, other: Asked) -> Controls:
        return Controls(self.terms + as_controls(other).terms)

    def __radd__(self, other: Asked) -> Controls:
        return as_controls(other) + self

    def __mul__(self, weight: float) -> Controls:
        factor = checked_weight(weight, str(self))
        return Controls(tuple(replace(t, weight=t.weight * factor) for t in self.terms))

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
            if term.negated:
                term = term._contrary() or term
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
            term.check(info)
            wanted = term.lengths(info)
            if (wanted & model).empty:
                raise UnsatisfiableError(
                    f"control '{term.label}' wants {wanted}; this model writes {model}",
                    f"ask for at most {info.max_words} words",
                )
            for other, lengths in seen:
                if (reason := other.excludes(term, info)) is not None:
                    raise UnsatisfiableError(
                        f"controls '{other.label}' and '{term.label}' contradict: {reason}",
                        "drop one",
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
        self._check_together(info, common)
        return common

    def _check_together(self, info: ModelInfo, common: Lengths) -> None:
        """All controls of a kind must fit into one text."""
        kinds: dict[type[ControlSpec], list[Term]] = {}
        for term in self.terms:
            if not term.negated:
                kinds.setdefault(type(term.spec), []).append(term)
        for kind, terms in kinds.items():
            with plugin_errors(control_name(terms[0].label), "together"):
                wanted = kind.together([term.spec for term in terms], info)
            if (wanted & common).empty:
                names = ", ".join(f"'{term.label}'" for term in terms)
                raise UnsatisfiableError(
                    f"controls {names} want {wanted} together, where there are {common}",
                    "drop one, or ask for more words",
                )


def as_controls(value: Asked, parse: Callable[[str], Term] | None = None) -> Controls:
    """Whatever a caller may pass for controls, as `Controls`.

    Args:
        value: a spec, a sum of them, a string, several of these, or None.
        parse: reads strings; without it they are refused.

    Raises:
        UsageError: it is something else.
        SpecError: a string that cannot be parsed.
    """
    if value is None or (value == 0 and type(value) is int):  # sum([]) is 0
        return Controls()
    if isinstance(value, Controls):
        return value
    if isinstance(value, Term):
        return Controls((value,))
    if isinstance(value, ControlSpec):
        return Controls((Term(value, usual_weight(type(value))),))
    if isinstance(value, str):
        if parse is not None:
            return Controls((parse(value),))
        raise UsageError(
            f"controls: expected a control, got the string '{value}'",
            f"parse_spec({value!r}, load_plugins().controls) makes one of it",
        )
    if not isinstance(value, Iterable) or isinstance(value, bytes | Mapping):
        raise UsageError(
            f"controls: expected a control, got {value!r}",
            "Length(12), a sum of such, 'length:12', or a list of them",
        )
    return Controls(tuple(term for item in value for term in as_controls(item, parse)))
