"""Facts learned from a corpus: the inventory of a bundle's head."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from dlm_controls.semantic.domain import Domain, Fact, Saying
from dlm_controls.semantic.inventory import Field, Inventory
from dlm_controls.semantic.reading import Mention, Reader
from dlm_controls.semantic.roles import Roles
from dlm_controls.semantic.shown import code, silent
from dlm_controls.semantic.words import comparable, cut, find
from dlm_core.control.shown import Code
from dlm_core.control.spec import SpecValueError
from dlm_core.control.verdict import Verdict

if TYPE_CHECKING:
    from dlm_controls.pattern.automaton import Automaton
    from dlm_core.corpora import Example
    from dlm_core.vocab import Vocab

_SPELT = 0.75  # of the texts with a value that have its words: then they are its wording
_MOST_WORDINGS = 40


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold()


class Learned(Domain):
    """See the module docstring.

    Args:
        inventory: what was learned.
        folder: of the head, where its judge lies.
    """

    def __init__(self, inventory: Inventory, folder: Path) -> None:
        self.inventory, self.folder = inventory, folder
        self.known: dict[str, Field] = inventory.usable
        self.fields = tuple(self.known)
        self.open_fields = tuple(f for f, field in self.known.items() if field.kind == "open")
        self.reader = Reader.of(self.known, Roles(inventory.cues))

    @classmethod
    def load(cls, folder: Path) -> Learned:
        """From a head's folder."""
        return cls(Inventory.load(folder), folder)

    def field(self, name: str) -> str | None:
        """Whatever its case, blanks, hyphens and underscores."""
        if name in self.known:
            return name
        return next((f for f in self.known if _plain(f) == _plain(name)), None)

    def values(self, field: str) -> Sequence[str]:
        """Those that can be asked for."""
        return [name for name, value in self.known[field].values.items() if not value.why]

    def value(self, field: str, value: str) -> str | None:
        """Whatever its case, accents, hyphens and quotes; as it is typed if there is one so."""
        values = self.values(field)
        if value in values:
            return value
        words = comparable(value)
        return next((v for v in values if words and comparable(v) == words), None)

    def fact(self, name: str, value: str) -> Fact:
        """Also tells why a field or value of the corpus cannot be asked for."""
        for field, found in self.inventory.fields.items():
            if _plain(field) == _plain(name):
                if found.why:
                    raise SpecValueError(f"field '{field}' cannot be asked for: {found.why}")
                one = found.values.get(value)
                if one is not None and one.why:
                    raise SpecValueError(f"{field} '{value}' cannot be asked for: {one.why}")
        return super().fact(name, value)

    def sayings(self, field: str, value: str) -> Sequence[Saying]:
        """Mined phrases; of a name its own words."""
        if field in self.open_fields:
            words = tuple(value.split())
            return [Saying(words, (0, len(words)), True)]
        return [self._saying(field, value, put) for put in self.known[field].values[value].put]

    def _saying(self, field: str, value: str, phrase: str) -> Saying:
        """With the words that the reader, and so the tagger, takes for the value."""
        words = tuple(phrase.split())
        read = [m for m in self.reader.read(words) if (m.field, m.value) == (field, value)]
        place = (read[0].start, read[-1].end) if read else (0, len(words))
        return Saying(words, place, bool(read))

    def readings(self, field: str, value: str, vocab: Vocab) -> Iterator[Saying]:
        """All phrases of a closed value, as far as the model has words for them."""
        if field in self.open_fields:
            return
        for phrase in self.known[field].values[value].phrases:
            words = tuple(phrase.split())
            if all(word in vocab for word in words):
                yield Saying(words, (0, len(words)), True)

    def wordings(self, field: str, value: str, vocab: Vocab) -> Iterator[Automaton]:
        """The value's own words where texts spell it, else every phrase of it."""
        from dlm_controls.semantic.wording import containing

        phrases = [value]
        if not self.literal(field):
            found = self.known[field].values[value]
            phrases = [*found.put, *found.phrases][:_MOST_WORDINGS]
        for words in dict.fromkeys(map(comparable, phrases)):
            if (automaton := containing(words, tuple(vocab.plain_words))) is not None:
                yield automaton

    def literal(self, field: str) -> bool:
        """Most texts with a value have its words."""
        return self.known[field].spelt >= _SPELT

    def clash(self, a: Fact, b: Fact) -> str | None:
        """Two values of one field."""
        if a.field == b.field and a.said != b.said:
            return f"'{a.said}' and '{b.said}' are not both its {a.field}"
        return None

    def code(self, field: str, value: str) -> Code:
        """With its words where most texts have them."""
        return code(field, value, is_open=field in self.open_fields, spelt=self.literal(field))

    def read(self, example: Example) -> tuple[Code, ...] | None:
        """None if a text says two values of a field.

        A field that the corpus gives, and no phrase says, is neither said nor left out.
        """
        tokens = example.text.split()
        facts: dict[tuple[str, str], Code] = {}
        for mention in self.mentions(example):
            value = mention.value
            if mention.field in self.open_fields:
                value = " ".join(tokens[mention.start : mention.end])
            facts.setdefault(mention[:2], self.code(mention.field, value))
        fields = [field for field, _ in facts]
        if len(set(fields)) < len(fields):
            return None
        said = {*fields, *example.fields}
        return (*facts.values(), *(silent(f) for f in self.fields if f not in said))

    def mentions(self, example: Example) -> list[Mention]:
        """What a text of the corpus says, without readings that its fields deny."""
        found = self.reader.read(example.text.split(), example.fields)
        if not example.fields:
            return found
        return [
            m
            for m in found
            if m.field in example.fields
            and (m.field not in self.open_fields or example.fields[m.field] == m.value)
        ]

    @cached_property
    def _phrases(self) -> dict[tuple[str, str], list[tuple[str, ...]]]:
        return {
            (name, value): [comparable(p) for p in found.phrases]
            for name, field in self.known.items()
            for value, found in field.values.items()
            if not found.why
        }

    def deniers(self, field: str, value: str) -> Iterator[str]:
        """What stands before a phrase of the value in another's: `not family friendly`."""
        if field in self.open_fields:
            return
        mine = {comparable(put) for put in self.known[field].values[value].put}
        for (other, name), phrases in self._phrases.items():
            if other == field and name != value:
                yield from {phrase[0] for phrase in phrases if phrase[1:] in mine}

    def barred(self, facts: Iterable[tuple[str, str | None]], vocab: Vocab) -> tuple[int, ...]:
        """Words that by themselves say another value of these fields, and no other field's."""
        words: set[str] = set()
        for field, value in facts:
            if field not in self.open_fields:
                own = {w for p in self._phrases.get((field, value or ""), ()) for w in p}
                for (name, other), phrases in self._phrases.items():
                    if name == field and other != value:
                        words |= {p[0] for p in phrases if len(p) == 1} - own
        elsewhere = {w for f in self.open_fields for v in self.values(f) for w in comparable(v)}
        words -= elsewhere
        return tuple(i for i, word in enumerate(vocab.words) if " ".join(comparable(word)) in words)

    def contradictions(self, tokens: Sequence[str]) -> list[str]:
        """Pairs of values of one field that a text says."""
        said = dict.fromkeys(m[:2] for m in self.reader.read(tokens))
        return [f"{f}: {a!r} and {b!r}" for (f, a), (g, b) in combinations(said, 2) if f == g]

    def faults(self, words: Sequence[str], field: str, value: str) -> int:
        """1 each for a fact that is not said, and contradictions."""
        said = (field, value) in {m[:2] for m in self.reader.read(words)}
        return (not said) + bool(self.contradictions(words))

    def drafted(self, words: Sequence[str], facts: Sequence[Fact]) -> dict[str, list[str]]:
        """By the phrases that steer."""
        return self._compared([m[:2] for m in self.reader.read(words)], facts)

    def judged(self, words: Sequence[str], facts: Sequence[Fact]) -> dict[str, list[str]]:
        """By the judge."""
        found = self._judged(words)
        return self._compared([(f, v) for f, (v, _) in found.items() if v], facts)

    def _compared(
        self, said: Sequence[tuple[str, str]], facts: Sequence[Fact]
    ) -> dict[str, list[str]]:
        asked = {fact.field: fact for fact in facts}
        wrong = [
            f"also says '{v}'" for f, v in dict.fromkeys(said) if f in asked and v != asked[f].value
        ]
        return {
            "missing": [f"{f.field}[{f.said}]" for f in facts if f[:2] not in said],
            "wrong": wrong,
            "said twice": [],
            "added": [f"{f}[{v}]" for f, v in dict.fromkeys(said) if f not in asked],
        }

    def _judged(self, words: Sequence[str]) -> dict[str, tuple[str, float]]:
        """What the judge reads of each field, and how surely."""
        from dlm_controls.semantic.judge import load

        judge, cues = load(self.folder)
        found = judge.read(cut(words)[0])
        reader = Reader.of({f: self.known[f] for f in self.open_fields}, Roles(cues))
        for mention in reader.read(words):
            found.setdefault(mention.field, (mention.value, 1.0))
        return found

    def verdict(self, words: Sequence[str], field: str, value: str) -> Verdict:
        """The judge, trained apart from what steers, reads the value; a name's words occur."""
        read, p = self._judged(words).get(field, ("", 1.0))
        parts = {"right_field": read == value}
        detail = f"the judge, trained apart, reads {field} '{read}', p = {p:.2f}"
        if not read:
            detail = f"the judge, trained apart, reads no {field}"
        if field in self.open_fields:
            parts = {"value": find(cut(words)[0], comparable(value)) >= 0, **parts}
        return Verdict(all(parts.values()), detail, parts=parts)

    def verdict_not(self, words: Sequence[str], field: str, value: str) -> Verdict:
        """The judge reads something else."""
        found = self.verdict(words, field, value)
        said = bool(found.parts and found.parts["right_field"])
        return Verdict(not said, found.detail, parts={"right_field": not said})

    def places(self, words: Sequence[str], field: str, value: str) -> list[tuple[int, int]]:
        """By the phrases that steer: the judge tells of no place."""
        found = self.reader.read(words)
        return [(m.start, m.end) for m in found if (m.field, m.value) == (field, value)]

    def lines(self) -> Iterator[str]:
        """All that was learned, and what was not, and why."""
        return self.inventory.lines()
