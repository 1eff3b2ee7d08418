"""pattern:"The * serves (Indian|Italian) food ...", keyword:sushi,wine and avoid:cheap.

Three ways to write a regular language of words. They hold in every text: the automata of a request
are intersected (with those of an infill, too), steer as one, and choose the final words.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator

from dlm_controls.pattern.automaton import Automaton
from dlm_controls.pattern.language import WordAutomaton
from dlm_controls.pattern.notation import Node, parse, words_of
from dlm_core.control.grammar import unquote
from dlm_core.control.verdict import Verdict


class Pattern(WordAutomaton):
    """A pattern of words: `*` one word, `...` any number, `(a|b c)` a choice, `?` optional."""

    kind: ClassVar[str] = "pattern"
    positional: ClassVar[tuple[str, ...]] = ("text",)
    examples: ClassVar[tuple[str, ...]] = (
        'pattern:"The * serves (Indian|Italian) food ..."',
        'pattern:"... (cheap|moderately priced)? pub ..."',
    )

    text: str

    if TYPE_CHECKING:

        def __init__(self, text: str) -> None: ...

    @field_validator("text")
    @classmethod
    def _parsed(cls, text: str) -> str:
        text = " ".join(text.split())
        parse(text)
        return text

    @classmethod
    def fields_from_body(cls, body: str) -> dict[str, Any]:
        """The whole body is the pattern."""
        return {"text": unquote(body)}

    def body(self) -> str:
        """The pattern in quotes."""
        return f'"{self.text}"'

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The parsed pattern."""
        return parse(self.text)

    def compile(self) -> Automaton:
        """The automaton of the pattern."""
        return Automaton.compile(self.nodes)

    def typed(self) -> Iterable[tuple[str, str, int]]:
        """The words of the pattern."""
        return ((word.text, self.text, word.span[0]) for word in words_of(self.nodes))

    def verify(self, text: str) -> Verdict:
        """Does the whole text fit? If not, which word is the first that cannot?"""
        return self.fits(text)
