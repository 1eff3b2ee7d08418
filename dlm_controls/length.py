"""length:12 or length:10-14: how many words a text has. Classifier-free."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from dlm_controls.pattern.automaton import Automaton
from dlm_controls.pattern.language import WordAutomaton
from dlm_core.control.compose import ControlSpec
from dlm_core.control.lengths import Lengths
from dlm_core.control.spec import SpecValueError
from dlm_core.control.verdict import Verdict

if TYPE_CHECKING:
    from random import Random

    from dlm_core.bundle import ModelInfo
    from dlm_core.control.protocol import BuildContext, Control
    from dlm_core.corpora import Example

_RANGE = re.compile(r"\s*(-?\d+)\s*(?:[-\u2010-\u2015\u2212]|\.\.|\u2026|to)\s*(-?\d+)\s*")
"""With a hyphen, or the dash or dots that an editor makes of one."""


class Length(ControlSpec):
    """An exact number of words, or a range of them."""

    kind: ClassVar[str] = "length"
    positional: ClassVar[tuple[str, ...]] = ("words", "to")
    examples: ClassVar[tuple[str, ...]] = ("length:12", "length:10-14")

    words: int = Field(ge=1)
    to: int | None = Field(default=None, ge=1)

    if TYPE_CHECKING:

        def __init__(self, words: int, to: int | None = None) -> None: ...

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.to is not None and self.to < self.words:
            raise SpecValueError(
                f"the range {self.words}-{self.to} is reversed", f"length:{self.to}-{self.words}"
            )
        return self

    @classmethod
    def fields_from_body(cls, body: str) -> dict[str, Any]:
        """`12`, `10-14`, or named fields."""
        if (match := _RANGE.fullmatch(body)) is not None:
            return {"words": match[1], "to": match[2]}
        fields = super().fields_from_body(body)
        if not fields:
            raise SpecValueError("how many words?", "for example length:12 or length:10-14")
        return fields

    def body(self) -> str:
        """`12` or `10-14`."""
        return str(self.words) if self.to is None else f"{self.words}-{self.to}"

    @classmethod
    def draw_target(cls, example: Example, draws: Random, name: str) -> Length:
        """As many words as it has."""
        return cls(len(example.text.split()))

    def lengths(self, info: ModelInfo) -> Lengths:
        """The range asked for."""
        return Lengths(self.words, self.to or self.words)

    def in_pieces(self, info: ModelInfo) -> ControlSpec:
        """An automaton that counts words: positions are more."""
        return WordCount(words=self.words, to=self.to)

    def build(self, context: BuildContext) -> Control:
        """The number of positions is set before sampling; nothing is left to steer."""
        return Free()

    def verify(self, text: str) -> Verdict:
        """Count the words."""
        count = len(text.split())
        return Verdict(self.words <= count <= (self.to or self.words), f"{count} words")


class WordCount(Length, WordAutomaton):
    """A length beside a control that needs pieces: each word is counted, however it is spelled."""

    whole_words: ClassVar[bool] = False

    def check(self, info: ModelInfo) -> None:
        """Nothing: `lengths` says what does not fit."""

    def build(self, context: BuildContext) -> Control:
        """Steer with the automaton."""
        return WordAutomaton.build(self, context)

    def compile(self) -> Automaton:
        """State n is that after n words, the last that after too many."""
        import numpy as np

        count = np.arange((self.to or self.words) + 2)
        after = (count + 1).clip(max=count[-1])
        return Automaton((), after[:, None], (count >= self.words) & (count < count[-1]))


class Free:
    """A control met by construction: log p = 0, and no tilt."""

    scope: ClassVar[str] = "position"

    def log_prob(self, state: Any) -> Any:
        """Zeros (B,), tied to the state so that a gradient exists."""
        return state.token_log_probs.sum((1, 2)) * 0.0

    def tilt(self, state: Any) -> Any:
        """The rounding distribution as it is."""
        return state.token_log_probs
