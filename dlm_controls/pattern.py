"""pattern:"The * serves (Indian|Italian) food ...", keyword:sushi,wine and avoid:cheap.

Three ways to write a regular language of words. They hold in every text: the automata of a request
are intersected (with those of an infill, too), steer as one, and choose the final words.
"""

from __future__ import annotations

import re
from functools import cached_property, reduce
from operator import and_
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator

from dlm_controls.automaton import Automaton, Node, TooManyStatesError, parse, words_of
from dlm_core.errors import SpecError, UnsatisfiableError, UsageError, did_you_mean
from dlm_core.spec import ControlSpec, Lengths, SpecValueError, Verdict, unquote

if TYPE_CHECKING:
    from dlm_core.bundle import ModelInfo
    from dlm_core.guidance import BuildContext, Control


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
        from dlm_controls.pattern_control import PatternControl

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


class Pattern(WordAutomaton):
    """A pattern of words: `*` one word, `...` any number, `(a|b c)` a choice, `?` optional."""

    kind: ClassVar[str] = "pattern"
    positional: ClassVar[tuple[str, ...]] = ("text",)
    examples: ClassVar[tuple[str, ...]] = (
        'pattern:"The * serves (Indian|Italian) food ..."',
        'pattern:"... (cheap|moderately priced)? pub ..."',
    )

    text: str

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

    def check(self, info: ModelInfo) -> None:
        """Every word must be in the vocabulary."""
        for word in words_of(self.nodes):
            _known(word.text, info, self.kind, self.text, word.span)
        _ = self.automaton

    def verify(self, text: str) -> Verdict:
        """Does the whole text fit? If not, which word is the first that cannot?"""
        words = text.split()
        if self.automaton.accepts(words):
            return Verdict(True, "fits")
        at = self.automaton.stuck_at(words)
        if at is None:
            return Verdict(False, "ends too early")
        return Verdict(False, f"word {at + 1}, '{words[at]}', does not fit")


class _Phrases(WordAutomaton):
    """Base of keyword and avoid."""

    positional: ClassVar[tuple[str, ...]] = ("phrases",)

    phrases: tuple[str, ...]

    @field_validator("phrases", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """At commas outside of quotes."""
        if not isinstance(value, str):
            return value
        if value.count('"') % 2:
            raise SpecValueError("a quote is not closed", 'for example sushi,"fast food"')
        return re.split(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', value)

    @field_validator("phrases")
    @classmethod
    def _tidy(cls, phrases: tuple[str, ...]) -> tuple[str, ...]:
        tidy = tuple(" ".join(unquote(phrase).split()) for phrase in phrases)
        if not tidy or not all(tidy):
            raise SpecValueError("a phrase is empty", 'for example sushi,"fast food"')
        return tuple(dict.fromkeys(tidy))

    @classmethod
    def fields_from_body(cls, body: str) -> dict[str, Any]:
        """The whole body is the phrases."""
        return {"phrases": body}

    def body(self) -> str:
        """Phrases between commas, those that are more than letters and digits in quotes."""
        if any('"' in phrase for phrase in self.phrases):
            return super().body()
        return ",".join(p if p.isalnum() else f'"{p}"' for p in self.phrases)

    def check(self, info: ModelInfo) -> None:
        """Every word must be in the vocabulary."""
        for phrase in self.phrases:
            for match in re.finditer(r"\S+", phrase):
                _known(match[0], info, self.kind, phrase, match.span())
        _ = self.automaton

    def containing(self) -> list[Automaton]:
        """For each phrase, the texts in which it occurs."""
        return [Automaton.containing(phrase.split()) for phrase in self.phrases]

    def found(self, text: str) -> list[str]:
        """The phrases that occur in a text."""
        pairs = zip(self.phrases, self.containing(), strict=True)
        return [phrase for phrase, automaton in pairs if automaton.accepts(text.split())]


class Keyword(_Phrases):
    """Words or phrases that must each occur somewhere, in any order."""

    kind: ClassVar[str] = "keyword"
    examples: ClassVar[tuple[str, ...]] = ("keyword:sushi,wine", 'keyword:"family friendly",pub')

    def compile(self) -> Automaton:
        """All of them."""
        return reduce(and_, self.containing())

    def verify(self, text: str) -> Verdict:
        """Is each there? `score` is the share that is."""
        found = self.found(text)
        missing = [phrase for phrase in self.phrases if phrase not in found]
        detail = f"missing: {', '.join(missing)}" if missing else "all there"
        return Verdict(not missing, detail, len(found) / len(self.phrases))


class Avoid(_Phrases):
    """Words or phrases that must not occur."""

    kind: ClassVar[str] = "avoid"
    examples: ClassVar[tuple[str, ...]] = ('avoid:cheap,"fast food"',)

    def compile(self) -> Automaton:
        """None of them."""
        return reduce(and_, (~automaton for automaton in self.containing()))

    def verify(self, text: str) -> Verdict:
        """Is none there? `score` is the share that is not."""
        found = self.found(text)
        detail = f"found: {', '.join(found)}" if found else "none there"
        return Verdict(not found, detail, 1 - len(found) / len(self.phrases))


def _known(word: str, info: ModelInfo, kind: str, source: str, span: tuple[int, int]) -> None:
    """Refuse a word the vocabulary lacks: it could not be produced, nor be told from others."""
    known = info.vocab.plain_words
    if word not in known:
        raise SpecError(
            f"control '{kind}': the model does not know the word '{word}'",
            source=source,
            span=span,
            hint=did_you_mean(word, known),
        )
