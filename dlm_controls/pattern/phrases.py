"""keyword:sushi,wine and avoid:cheap: phrases that occur, phrases that do not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property, reduce
from operator import and_
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator

from dlm_controls.pattern.automaton import MAX_STATES, Automaton, TooManyStatesError
from dlm_controls.pattern.language import WordAutomaton, warn, writable
from dlm_controls.pattern.notation import Choice, Node, Wildcard, Word
from dlm_controls.spelling import exact, loose, unknown
from dlm_core.control.grammar import quoted_items, unquote
from dlm_core.control.shown import Shown
from dlm_core.control.spec import SpecValueError
from dlm_core.control.verdict import Place, Verdict
from dlm_core.errors import shorten
from dlm_core.text import normal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from dlm_core.bundle import ModelInfo
    from dlm_core.corpora import Example

MAX_PHRASES = 2_000
"""Of an `avoid`; keywords multiply states and are fewer (`MAX_KEYWORDS`)."""
MAX_KEYWORDS = MAX_STATES.bit_length() - 1
"""Which of them have occurred is a state each: 2 to the power of their number."""
_EXACT = re.compile(r"(?:^|,)\s*exact=(yes|no|true|false)\s*$")


class _Phrases(WordAutomaton):
    """Base of keyword and avoid."""

    positional: ClassVar[tuple[str, ...]] = ("phrases",)

    phrases: tuple[str, ...]
    exact: bool = True
    """As typed; else also in other case, and with or without hyphens."""

    if TYPE_CHECKING:

        def __init__(self, phrases: str | Sequence[str]) -> None: ...

    @field_validator("phrases", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """At commas outside of quotes."""
        if not isinstance(value, str):
            return value
        try:
            return quoted_items(value)
        except ValueError as error:
            raise SpecValueError(str(error), 'for example sushi,"fast food"') from error

    @field_validator("phrases")
    @classmethod
    def _tidy(cls, phrases: tuple[str, ...]) -> tuple[str, ...]:
        tidy = tuple(" ".join(unquote(phrase).split()) for phrase in phrases)
        if not tidy or not all(tidy):
            raise SpecValueError("a phrase is empty", 'for example sushi,"fast food"')
        if len(tidy) > MAX_PHRASES:
            raise SpecValueError(f"{len(tidy):,} phrases; at most {MAX_PHRASES:,} can be asked")
        return tuple(dict.fromkeys(tidy))

    @classmethod
    def fields_from_body(cls, body: str) -> dict[str, Any]:
        """The body is the phrases; `exact=yes` or `exact=no` may stand behind them."""
        found = _EXACT.search(body)
        if found is None:
            return {"phrases": body}
        return {"phrases": body[: found.start()], "exact": found[1]}

    def body(self) -> str:
        """Phrases between commas, those that are more than letters and digits in quotes."""
        if any('"' in phrase for phrase in self.phrases):
            return super().body()
        phrases = ",".join(p if p.isalnum() else f'"{p}"' for p in self.phrases)
        asked = self.exact != type(self).model_fields["exact"].default
        return phrases + (f",exact={'yes' if self.exact else 'no'}" if asked else "")

    def typed(self) -> Iterable[tuple[str, str, int]]:
        """The words of the phrases."""
        for phrase in self.phrases:
            for match in re.finditer(r"\S+", phrase):
                yield match[0], phrase, match.start()

    def items(self, phrase: str) -> tuple[Node, ...]:
        """A phrase as a part of a pattern, in the forms that count."""
        return tuple(map(Word, phrase.split())) if self.exact else (loose(phrase),)

    @cached_property
    def containing(self) -> tuple[Automaton, ...]:
        """For each phrase, the texts in which it occurs."""
        run = Wildcard.RUN
        return tuple(Automaton.compile((run, *self.items(p), run)) for p in self.phrases)

    def places(self, text: str, found: Sequence[str]) -> list[Place]:
        """Where these phrases occur in a text."""
        words = normal(text).split()
        return [
            Place(start, end, phrase)
            for phrase in found
            for start, end in Automaton.compile(self.items(phrase)).spans(words)
        ]

    def found(self, text: str) -> list[str]:
        """The phrases that occur in a text."""
        words = normal(text).split()
        pairs = zip(self.phrases, self.containing, strict=True)
        return [phrase for phrase, automaton in pairs if automaton.accepts(words)]


class Keyword(_Phrases):
    """Words or phrases that must each occur somewhere, in any order; `exact=no` takes any case."""

    kind: ClassVar[str] = "keyword"
    examples: ClassVar[tuple[str, ...]] = ("keyword:sushi,wine", 'keyword:"family friendly",pub')

    def shown(self, words: int) -> Shown:
        """A code a phrase, with its words."""
        from dlm_controls.pattern.shown import code

        return Shown(tuple(map(code, self.phrases)))

    @classmethod
    def read_shown(cls, examples: Sequence[Example], info: ModelInfo) -> list[Shown]:
        """The words of each text that one could ask for."""
        from dlm_controls.pattern.shown import read

        return read(examples)

    @classmethod
    def draw_shown(cls, everything: Shown, words: Sequence[str], draws: Random) -> Shown:
        """A few of its words."""
        from dlm_controls.pattern.shown import draw

        return draw(everything, words, draws)

    @classmethod
    def draw_target(cls, example: Example, draws: Random, name: str) -> Keyword | None:
        """Two of its longer words."""
        words = sorted({word for word in example.text.split() if len(word) > 3 and word.isalpha()})
        chosen = draws.sample(words, min(2, len(words)))
        return cls(phrases=tuple(chosen)) if chosen else None

    def compile(self) -> Automaton:
        """All of them."""
        if len(self.phrases) > MAX_KEYWORDS:  # known before the work is done
            raise TooManyStatesError(
                f"needs more than {MAX_STATES} states: {len(self.phrases)} phrases, where at most "
                f"{MAX_KEYWORDS} can be asked at once"
            )
        return reduce(and_, self.containing)

    def verify(self, text: str) -> Verdict:
        """Is each there? `score` is the share that is."""
        found = self.found(text)
        missing = [phrase for phrase in self.phrases if phrase not in found]
        detail = f"missing: {', '.join(missing)}" if missing else "all there"
        share = len(found) / len(self.phrases)
        return Verdict(not missing, detail, share, places=self.places(text, found))


class Avoid(_Phrases):
    """Words or phrases that must not occur, in any case, hyphens or not; `exact=yes` as typed."""

    kind: ClassVar[str] = "avoid"
    examples: ClassVar[tuple[str, ...]] = ('avoid:cheap,"fast food"', "avoid:Mill,exact=yes")

    exact: bool = False

    def needs_pieces(self, info: ModelInfo) -> str | None:
        """None: what is not written is avoided."""
        return None

    def check(self, info: ModelInfo) -> None:
        """What the model cannot write holds already, and is told."""
        _ = self.automaton
        known = writable(info.vocab)

        def can_be(phrase: str) -> bool:
            forms = [loose(phrase)] if not self.exact else map(exact, phrase.split())
            return all(form.reached(known) == form.end for form in forms)

        lacking = [phrase for phrase in self.phrases if not can_be(phrase)]
        for phrase in lacking[:1]:
            word = next(filter(None, (unknown(word, known) for word in phrase.split())), None)
            why = f": {word.message} ({word.hint})" if word is not None else ""
            more = f" and {len(lacking) - 1:,} more" if len(lacking) > 1 else ""
            warn(f"control 'avoid': '{shorten(phrase)}'{more} can be in no text anyway{why}")

    def compile(self) -> Automaton:
        """None of them."""
        phrases = Choice(tuple(self.items(phrase) for phrase in self.phrases))
        return ~Automaton.compile((Wildcard.RUN, phrases, Wildcard.RUN))

    def verify(self, text: str) -> Verdict:
        """Is none there? `score` is the share that is not."""
        found = self.found(text)
        detail = f"found: {', '.join(found)}" if found else "none there"
        share = 1 - len(found) / len(self.phrases)
        return Verdict(not found, detail, share, places=self.places(text, found))
