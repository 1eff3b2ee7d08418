"""keyword:sushi,wine and avoid:cheap: phrases that occur, phrases that do not."""

from __future__ import annotations

import re
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator

from dlm_controls.pattern.automaton import Automaton
from dlm_controls.pattern.language import WordAutomaton, known_word
from dlm_core.control.grammar import unquote
from dlm_core.control.spec import SpecValueError
from dlm_core.control.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlm_core.bundle import ModelInfo


class _Phrases(WordAutomaton):
    """Base of keyword and avoid."""

    positional: ClassVar[tuple[str, ...]] = ("phrases",)

    phrases: tuple[str, ...]

    if TYPE_CHECKING:

        def __init__(self, phrases: str | Sequence[str]) -> None: ...

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
                known_word(match[0], info, self.kind, phrase, match.span())
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
