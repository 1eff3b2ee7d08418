"""E2E's facts, by the tables and rules of this room."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from dlm_controls.semantic.domain import Domain, Fact, Saying
from dlm_controls.semantic.e2e import oracle, reader, tables
from dlm_controls.semantic.e2e.others import barred_ids
from dlm_controls.semantic.e2e.tables import OPEN_FIELDS
from dlm_controls.semantic.shown import code, silent
from dlm_core.control.shown import Code
from dlm_core.control.verdict import Verdict

if TYPE_CHECKING:
    from dlm_controls.pattern.automaton import Automaton
    from dlm_core.corpora import Example
    from dlm_core.vocab import Vocab

_LEADS = (("near",), ("close", "to"), ("next", "to"))  # what makes a place a neighbour
_SPELT = ("eatType", "food", "area")
"""Fields whose values mostly stand in a text as they are spelt."""


class E2E(Domain):
    """See the module docstring."""

    fields = tables.FIELDS
    open_fields = OPEN_FIELDS

    def field(self, name: str) -> str | None:
        """However it is spelt (`Type`, `family_friendly`)."""
        return reader.canonical_field(name)

    def values(self, field: str) -> Sequence[str]:
        """As the meaning representations spell them."""
        return tables.VALUES[field]

    def value(self, field: str, value: str) -> str | None:
        """`£20-25` is `£ 20 - 25`, and a number in priceRange its band."""
        return reader.canonical_value(field, value) or reader.band(field, value)

    def stand_ins(self, field: str) -> list[str]:
        """Places of one spelling, without an article."""
        return [
            place
            for place in super().stand_ins(field)
            if place not in tables.PLACE_SPELLINGS and not place.startswith("The ")
        ]

    def sayings(self, field: str, value: str) -> Sequence[Saying]:
        """Phrases that hold the value's own words; any paraphrase of the yes/no field.

        So the paper's measure, which looks for these words, is met.
        """
        return _sayings(field, value)

    def wordings(self, field: str, value: str, vocab: Vocab) -> Iterator[Automaton]:
        """Of a yes/no field its paraphrases; what says "yes" can say "no" behind a "not"."""
        from dlm_controls.semantic.wording import containing

        phrases = [value]
        if field == "familyFriendly":
            said = ("yes",) if value == "yes" else ("no", "yes")
            phrases = [" ".join(p) for v in said for p in reader.realisations(field, v)]
            phrases += [f"family {venue}" for venue in sorted(tables.VENUES)]
        for words in dict.fromkeys(map(reader.words_of, phrases)):
            if (found := containing(words, tuple(vocab.plain_words), reader.words_of)) is not None:
                yield found

    def literal(self, field: str) -> bool:
        """All but the yes/no field."""
        return field != "familyFriendly"

    def clash(self, a: Fact, b: Fact) -> str | None:
        """Another value of the field, or the same place as its own neighbour."""
        if {a.field, b.field} == set(OPEN_FIELDS) and a.said == b.said:
            return f"'{a.said}' is not near itself"
        if a.field == b.field and oracle.exclude(a.field, a.said, b.said):
            return f"'{a.said}' and '{b.said}' are not both its {a.field}"
        return None

    def code(self, field: str, value: str) -> Code:
        """With its words where texts mostly have them."""
        return code(field, value, is_open=field in OPEN_FIELDS, spelt=field in _SPELT)

    def read(self, example: Example) -> tuple[Code, ...] | None:
        """None if a text contradicts itself, or repeats a fact: a writer says each once."""
        tokens = example.text.split()
        if oracle.contradictions(tokens) or oracle.repetitions(tokens):
            return None
        facts: dict[tuple[str, str], Code] = {}
        for mention in reader.read_mentions(tokens):
            spelt = " ".join(tokens[mention.start : mention.end])
            key = mention.field, mention.value
            value = spelt if mention.field in OPEN_FIELDS else mention.value
            facts.setdefault(key, self.code(mention.field, value))
        said = {field for field, _ in facts} | set(example.fields)
        return (*facts.values(), *(silent(f) for f in self.fields if f not in said))

    def deniers(self, field: str, value: str) -> Iterable[str]:
        """What turns "yes" into "no"."""
        return tables.NEGATORS if (field, value) == ("familyFriendly", "yes") else ()

    def barred(self, facts: Iterable[tuple[str, str | None]], vocab: Vocab) -> tuple[int, ...]:
        """As `others` has them."""
        return barred_ids(facts, vocab)

    def faults(self, words: Sequence[str], field: str, value: str) -> int:
        """1 each for the fact, contradictions and what is said twice."""
        found = oracle.judge(words, field, value)
        said = found.value and found.right_field and found.consistent
        return (not said) + bool(oracle.contradictions(words)) + bool(oracle.repetitions(words))

    def verdict(self, words: Sequence[str], field: str, value: str) -> Verdict:
        """The value's words occur (the paper's measure), say this field, and nothing denies it."""
        found = oracle.judge(words, field, value)
        parts = {
            "value": found.value,
            "right_field": found.right_field,
            "consistent": found.consistent,
        }
        return Verdict(all(parts.values()), found.detail, parts=parts)

    def verdict_not(self, words: Sequence[str], field: str, value: str) -> Verdict:
        """Neither do the value's words occur, nor does the text say it in others."""
        has = oracle.has_value(words, field, value)
        right = oracle.right_field(words, field, value)
        said = "occurs" if has else "is said in other words" if right else "does not occur"
        parts = {"value": not has, "right_field": not right}
        return Verdict(not (has or right), f"'{value}' {said}", parts=parts)

    def places(self, words: Sequence[str], field: str, value: str) -> Sequence[tuple[int, int]]:
        """In its own words or others."""
        found = reader.read_mentions(words)
        return [(m.start, m.end) for m in found if (m.field, m.value) == (field, value)]

    def drafted(self, words: Sequence[str], facts: Sequence[Fact]) -> dict[str, list[str]]:
        """Of a text with stand-ins for unknown places."""
        judged = [(fact, oracle.judge(words, fact.field, fact.value)) for fact in facts]
        missing = [f"{fact.field}[{fact.said}]" for fact, j in judged if not j.right_field]
        wrong = [j.detail for _, j in judged if not j.consistent and j.right_field]
        said = dict.fromkeys((m.field, m.value) for m in reader.read_mentions(words))
        asked = [fact.field for fact in facts]
        return {
            "missing": missing,
            "wrong": wrong or oracle.contradictions(words),
            "said twice": oracle.repetitions(words),
            "added": [f"{f}[{v}]" for f, v in said if f not in asked],
        }


@lru_cache(maxsize=512)
def _sayings(field: str, value: str) -> tuple[Saying, ...]:
    own = tuple(value.split())
    said = list(reader.realisations(field, value))
    if field == "near":
        said += [(*lead, *phrase) for lead in _LEADS for phrase in said]
    found = []
    for phrase in said:
        place: tuple[int, int] | None = (0, len(phrase))
        if field != "familyFriendly":  # a paraphrase ("no kids") is the value from end to end
            place = _find(phrase, own)
        if place is None:
            continue
        mentions = reader.read_mentions(phrase)
        sure = any((m.field, m.value) == (field, value) for m in mentions)
        found.append(Saying(phrase, place, sure))
    return tuple(found)


def _find(phrase: Sequence[str], own: Sequence[str]) -> tuple[int, int] | None:
    """Where the value's own words stand in a phrase, whatever the case; None if they do not."""
    folded = [w.casefold() for w in own]
    for i in range(len(phrase) - len(own) + 1):
        if [w.casefold() for w in phrase[i : i + len(own)]] == folded:
            return i, i + len(own)
    return None
