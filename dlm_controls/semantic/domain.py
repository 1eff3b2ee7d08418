"""What facts there are and how texts say them: what `Semantic` and `MR` ask, who know no field."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from dlm_controls.semantic.places import replace
from dlm_core.control.shown import Code
from dlm_core.control.spec import SpecValueError
from dlm_core.control.verdict import Verdict
from dlm_core.errors import did_you_mean

if TYPE_CHECKING:
    from dlm_controls.pattern.automaton import Automaton
    from dlm_core.corpora import Example
    from dlm_core.vocab import Vocab


class Fact(NamedTuple):
    """A field and its value as the corpus spells them.

    Attributes:
        field, value: what the model is asked for.
        said: the words of the text: the value's, or those that `value` stands in for.
    """

    field: str
    value: str
    said: str

    @property
    def foreign(self) -> bool:
        """A name that the corpus never had."""
        return self.value != self.said


class Saying(NamedTuple):
    """A phrase in tokens, the range of them that is the value, and whether it says the field."""

    words: tuple[str, ...]
    value: tuple[int, int]
    sure: bool


class Domain(ABC):
    """Fields, values, and how texts say them."""

    fields: tuple[str, ...]
    open_fields: tuple[str, ...]
    """Fields whose values are names, of which there are always more."""

    @abstractmethod
    def field(self, name: str) -> str | None:
        """A field however it is spelt, or None."""

    @abstractmethod
    def values(self, field: str) -> Sequence[str]:
        """The values of a field."""

    @abstractmethod
    def value(self, field: str, value: str) -> str | None:
        """The corpus's spelling of a value, or None."""

    @abstractmethod
    def sayings(self, field: str, value: str) -> Sequence[Saying]:
        """Phrases that can be put into a text, best first."""

    def lines(self) -> Iterator[str]:
        """What there is to ask for."""
        for field in self.fields:
            values = self.values(field)
            more = f" and {len(values) - 8} more" if len(values) > 8 else ""
            yield f"field '{field}': {', '.join(values[:8])}{more}"

    def readings(self, field: str, value: str, vocab: Vocab) -> Iterable[Saying]:
        """Phrases that say it as well, but are never put into a text."""
        return ()

    @abstractmethod
    def wordings(self, field: str, value: str, vocab: Vocab) -> Iterator[Automaton]:
        """For each way to say it the texts that do."""

    @abstractmethod
    def literal(self, field: str) -> bool:
        """Whoever says a value of the field says its words, and the other way round."""

    @abstractmethod
    def clash(self, a: Fact, b: Fact) -> str | None:
        """Why two facts cannot both be true, or None."""

    @abstractmethod
    def code(self, field: str, value: str) -> Code:
        """What shows a fact to the writer."""

    @abstractmethod
    def read(self, example: Example) -> tuple[Code, ...] | None:
        """Codes of all that a text says, and of the fields it says nothing of; None bars it."""

    def deniers(self, field: str, value: str) -> Iterable[str]:
        """Words that make it untrue where they stand before it."""
        return ()

    @abstractmethod
    def barred(self, facts: Iterable[tuple[str, str | None]], vocab: Vocab) -> tuple[int, ...]:
        """Ids of words that say something else of these fields; of None, that say anything."""

    @abstractmethod
    def faults(self, words: Sequence[str], field: str, value: str) -> int:
        """What is wrong with a draft that is to say a fact, as far as what steers can tell."""

    @abstractmethod
    def verdict(self, words: Sequence[str], field: str, value: str) -> Verdict:
        """Is the fact said?"""

    @abstractmethod
    def verdict_not(self, words: Sequence[str], field: str, value: str) -> Verdict:
        """Is the fact not said?"""

    @abstractmethod
    def places(self, words: Sequence[str], field: str, value: str) -> Sequence[tuple[int, int]]:
        """Where a text states the fact, from and to: for showing, no part of the verdict."""

    @abstractmethod
    def drafted(self, words: Sequence[str], facts: Sequence[Fact]) -> Mapping[str, Sequence[str]]:
        """What is missing, wrong, said twice and added, as far as what steers can tell."""

    def judged(self, words: Sequence[str], facts: Sequence[Fact]) -> Mapping[str, Sequence[str]]:
        """The same as the judge finds it."""
        return self.drafted(words, facts)

    # -- what all domains share ---------------------------------------------------------------

    def fact(self, name: str, value: str) -> Fact:
        """A fact as the corpus spells it.

        Raises:
            SpecValueError: there is no such field or value, with the nearest.
        """
        field = self.field(name)
        if field is None:
            raise SpecValueError(f"unknown field '{name}'", did_you_mean(name, self.fields))
        values = self.values(field)
        if not value.strip():
            example = f"for example {', '.join(values[:4])}"
            raise SpecValueError(f"field '{name}' has no value", example)
        if (known := self.value(field, value)) is not None:
            return Fact(field, known, known)
        first, comma, rest = value.partition(",")
        if comma and "=" in rest and self.field(rest.partition("=")[0].strip()):
            facts = f"semantic:{name}={first.strip()}", f"semantic:{rest.strip()}"
            raise SpecValueError("one fact each", f"write '{facts[0]}' and '{facts[1]}'")
        if field not in self.open_fields:
            raise SpecValueError(f"unknown {name} '{value}'", did_you_mean(value, values))
        return Fact(field, self.stand_in(field, value), " ".join(value.split()))

    def stand_in(self, field: str, value: str) -> str:
        """The known name that a text is made with: always the same for a value.

        It has as many words as the value where there is one.
        """
        return self._candidates(field, value)[0]

    def stand_ins(self, field: str) -> list[str]:
        """Names that may stand in for others: of no other field."""
        others = {v for f in self.open_fields if f != field for v in self.values(f)}
        return [value for value in self.values(field) if value not in others]

    def _candidates(self, field: str, value: str) -> list[str]:
        """Known names, best first."""
        value = " ".join(value.split())
        known = self.stand_ins(field) or list(self.values(field))
        turn = zlib.crc32(value.encode()) % len(known)
        wanted = len(value.split())
        return sorted(known[turn:] + known[:turn], key=lambda p: abs(len(p.split()) - wanted))

    def as_known(self, fact: Fact, words: Sequence[str]) -> list[str]:
        """A text as if its unknown name were the stand-in; one that names that is another's."""
        if not fact.foreign:
            return list(words)
        place, *rest = self._candidates(fact.field, fact.said)
        freed = replace(words, place.split(), rest[0].split()) if rest else words
        return replace(freed, fact.said.split(), place.split())
