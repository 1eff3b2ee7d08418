"""What is asked: a control (`ControlSpec`), weighted or negated (`Term`), and sums (`Controls`).

Light: imports no torch. A control's spec lives in two phases: parsing (context-free, `parse`) and
`check(info)` against a model's vocabulary and label files. `build(context)` then makes the torch
control.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from dlm_core.control.lengths import Lengths
from dlm_core.control.spec import Spec
from dlm_core.control.verdict import Verdict
from dlm_core.errors import SpecError, UnsatisfiableError, UsageError, plugin_errors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dlm_core.bundle import Model, ModelInfo
    from dlm_core.control.protocol import BuildContext, Control
    from dlm_core.corpora import Example

MAX_CONTROLS = 64
"""Of one request: each pair of them is compared, and each costs a step something."""


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

    def verify_not(self, text: str) -> Verdict:
        """Judge a finished text for the contrary."""
        return ~self.verify(text)

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

    def check(self, info: ModelInfo) -> None:
        """Check what is asked: of a negated control its contrary, where it has one."""
        contrary = self.spec.contrary() if self.negated else None
        (contrary or self.spec).check(info)

    def lengths(self, info: ModelInfo) -> Lengths:
        """Numbers of words it admits: of a contrary, any."""
        return Lengths() if self.negated else self.spec.lengths(info)

    def verify(self, text: str, info: ModelInfo) -> Verdict:
        """Judge a text of the model `info`, for the contrary if that is asked."""
        spec = self.spec.bind(info)
        return spec.verify_not(text) if self.negated else spec.verify(text)

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
                    raise TypeError(f"returned {type(reason).__name__}, expected a str or None")
            if reason is not None:
                return reason
        return None

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
                term.check(info)
            with term.named_errors("lengths"):
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
