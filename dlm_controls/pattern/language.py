"""Base of the controls that are automata over words: they intersect and have contraries."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from dlm_controls.pattern.automaton import Automaton, TooManyStatesError
from dlm_core.control.compose import ControlSpec
from dlm_core.control.lengths import Lengths
from dlm_core.errors import SpecError, UnsatisfiableError, UsageError, did_you_mean

if TYPE_CHECKING:
    from dlm_core.bundle import ModelInfo
    from dlm_core.control.protocol import BuildContext, Control


class WordAutomaton(ControlSpec):
    """Base of the controls that are automata over words."""

    normalised: ClassVar[bool] = True

    def compile(self) -> Automaton:
        """The automaton; TooManyStatesError if it is too large."""
        raise NotImplementedError

    @cached_property
    def automaton(self) -> Automaton:
        """The automaton.

        Raises:
            UsageError: it has too many states.
        """
        try:
            return self.compile()
        except TooManyStatesError as error:
            raise UsageError(
                f"control '{self}' {error}", "ask for fewer or shorter phrases, or fewer gaps"
            ) from error

    def lengths(self, info: ModelInfo) -> Lengths:
        """Exactly the numbers of words its texts have."""
        limit = max(info.max_words, len(self.automaton.table))  # past the shortest text of all
        found = self.automaton.lengths(limit)
        endless = found and found == set(range(min(found), limit + 1))
        return Lengths(min(found)) if endless else Lengths.of(found)

    def merge(self, other: ControlSpec) -> ControlSpec | None:
        """Both at once, if the other is an automaton, too."""
        return Both(left=self, right=other) if isinstance(other, WordAutomaton) else None

    def contrary(self) -> ControlSpec:
        """Every other text."""
        return Other(spec=self)

    def build(self, context: BuildContext) -> Control:
        """Steer with the automaton's exact probability."""
        from dlm_controls.pattern.control import PatternControl

        return PatternControl.of(self.automaton, context)


class Both(WordAutomaton):
    """Two automata at once."""

    kind: ClassVar[str] = "pattern"

    left: WordAutomaton
    right: WordAutomaton

    def check(self, info: ModelInfo) -> None:
        """Refuse what no text can be."""
        if self.automaton.empty:
            raise UnsatisfiableError(
                f"controls '{self.left}' and '{self.right}' contradict: no text meets both",
                "drop one of them",
            )

    def compile(self) -> Automaton:
        """The intersection."""
        return self.left.automaton & self.right.automaton

    def __str__(self) -> str:
        return f"{self.left} + {self.right}"


class Other(WordAutomaton):
    """Every text that an automaton does not accept."""

    kind: ClassVar[str] = "pattern"

    spec: WordAutomaton

    def check(self, info: ModelInfo) -> None:
        """Refuse what no text can be."""
        if self.automaton.empty:
            raise UnsatisfiableError(f"every text is {self.spec}", "drop the control")

    def compile(self) -> Automaton:
        """The complement."""
        return ~self.spec.automaton

    def __str__(self) -> str:
        return f"not {self.spec}"


def known_word(word: str, info: ModelInfo, kind: str, source: str, span: tuple[int, int]) -> None:
    """Refuse a word the vocabulary lacks: it could not be produced, nor be told from others."""
    known = info.vocab.plain_words
    if word not in known:
        raise SpecError(
            f"control '{kind}': the model does not know the word '{word}'",
            source=source,
            span=span,
            hint=did_you_mean(word, known),
        )
