"""What a system is, and what a baseline must know of a kind of control to be trained on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

from dlm_core.control.compose import Controls, ControlSpec
from dlm_core.errors import UsageError

if TYPE_CHECKING:
    from benchmarks.baselines.lab import Lab


class Ask(NamedTuple):
    """n texts under some controls; text i of them has seed `seed + i`."""

    controls: Controls
    n: int
    seed: int


class System(ABC):
    """Whatever writes texts under controls.

    Attributes:
        kinds: the kinds of control it takes.
        composes: it takes several at once.
        sized: it has no way to end a gap, and is told its number of words.
        slow: it takes minutes where others take seconds, so that a table asks it for less.
    """

    kinds: ClassVar[frozenset[str]] = frozenset()
    composes: ClassVar[bool] = False
    sized: ClassVar[bool] = False
    slow: ClassVar[bool] = False

    def prepare(self, asked: Sequence[Controls]) -> None:  # noqa: B027 - most have nothing to do
        """Train or read what these requests need, so that no time of writing holds it."""

    @abstractmethod
    def generate(self, controls: Controls, n: int, seed: int) -> list[str]:
        """n texts, their words with blanks between; text i depends on `seed + i` alone."""

    def generate_all(self, asks: Sequence[Ask]) -> list[list[str]]:
        """The texts of many requests; a system that can walk them in one batch does."""
        return [self.generate(*ask) for ask in asks]

    def does(self, controls: Controls) -> bool:
        """Whether it can be asked for these."""
        kinds = {term.spec.kind for term in controls}
        return kinds <= self.kinds and (self.composes or len(controls) == 1)


class Condition(Protocol):
    """How a kind of control is read off a text, and how it is told to a network.

    Attributes:
        kind: of the control.
        fudge_weight: lambda of FUDGE (Table 6).
        lr, fluency: of the release's loop (Table 6).
    """

    kind: str
    fudge_weight: float
    lr: float
    fluency: float

    def read(self, lab: Lab, texts: Sequence[Sequence[str]]) -> list[Sequence[ControlSpec]]:
        """The controls of this kind that each text, in words, meets."""

    def codes(self, spec: ControlSpec) -> list[str]:
        """The control as names that stand before a text; `word:x` is the word x itself."""

    def written(self, spec: ControlSpec, words: Sequence[str]) -> Sequence[str]:
        """What a network told of the control writes of the text."""

    def whole(self, spec: ControlSpec, written: str) -> str:
        """The text of what was written."""

    def labels(self, spec: ControlSpec) -> list[str] | None:
        """A label a word, where the control is a sequence of them; None where it is one event."""

    def event(self, spec: ControlSpec, i: int) -> list[str]:
        """The control as seen after i tokens: names, which a future discriminator reads."""


class Whole:
    """Base of a condition under which a network writes the whole text, and that is one event."""

    lr, fluency, fudge_weight = 0.1, 0.01, 2.0

    def written(self, spec: ControlSpec, words: Sequence[str]) -> Sequence[str]:
        """All words."""
        return words

    def whole(self, spec: ControlSpec, written: str) -> str:
        """What was written."""
        return written

    def labels(self, spec: ControlSpec) -> list[str] | None:
        """None: one event."""
        return None

    def event(self, spec: ControlSpec, i: int) -> list[str]:
        """Its names, whatever was read."""
        return self.codes(spec)  # type: ignore[attr-defined, no-any-return]


def only(controls: Controls) -> ControlSpec:
    """The one control of a request.

    Raises:
        UsageError: there are more, or it is negated.
    """
    if len(controls) != 1 or controls.terms[0].negated:
        raise UsageError(f"this baseline takes one control, not '{controls}'")
    return controls.terms[0].spec
