"""Judges a fact of a text: are its words there, is it said in its field, does nothing deny it?

Three measures, each stricter than a search for words:

* `has_value`, the paper's: the value's own words occur.
* `right_field`: the text says the value of this field, in its own words or others; it does not deny
  it (`does not serve Italian food`), and a name stands where a name can.
* `Judgement.consistent`: nothing else in the text speaks against it: no second value that excludes
  it, no denial beside the statement, no place that is its own neighbour, nothing glued to it.

Where the rules cannot tell what a denial is about, it is about the next fact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise

from dlm_controls.semantic.places import OPEN_FIELDS
from dlm_controls.semantic.reader import (
    Mention,
    Reading,
    canonical_field,
    canonical_value,
    cued,
    read,
    read_mentions,
    words_of,
)
from dlm_controls.semantic.tables import (
    ARTICLES,
    AUXILIARIES,
    BESIDE,
    DEGREES,
    DENIERS,
    FIELDS,
    GIVEN,
    LINKS,
    MEASURES,
    NAMING,
    NEAR_WORDS,
    NEGATORS,
    SAME,
    SPARED,
    STOPS,
    VERBS,
)

_REACH = 6  # words after a denier in which it looks for its fact
_RANGE = "£ 20 - 25"


@dataclass(frozen=True)
class Judgement:
    """The three measures of a fact in a text; `detail` says what is wrong, or is empty.

    `places` are the tokens, from and to, that state it.
    """

    value: bool
    right_field: bool
    consistent: bool
    detail: str
    places: tuple[tuple[int, int], ...] = ()


def has_value(tokens: Sequence[str], field: str, value: str) -> bool:
    """Whether the value's own words occur, side by side and whole; case and hyphens do not count.

    This is the measure of the Diffusion-LM paper: it asks neither what the words are about (`high`
    in `high customer rating` has priceRange=high) nor for paraphrases (`inexpensive` does not have
    `cheap`; see PHRASES and DEGREES for those). Only familyFriendly, whose values are no words of
    the text, holds if `read_mentions` reads it: `kid friendly` is yes, `not kid friendly` no.
    """
    known = canonical_field(field)
    if known == "familyFriendly":
        wanted = canonical_value(known, value)
        return any((m.field, m.value) == (known, wanted) for m in read_mentions(tokens))
    own = words_of((known and canonical_value(known, value)) or value)
    words = words_of(" ".join(tokens))
    spans = range(len(words) - len(own) + 1)
    return bool(own) and any(words[i : i + len(own)] == own for i in spans)


def right_field(tokens: Sequence[str], field: str, value: str) -> bool:
    """Whether the text states this value of this field, in its own words or others."""
    return judge(tokens, field, value).right_field


def agree(a: str, b: str) -> bool:
    """Whether two values of a field can both be true, as `cheap` and `less than £ 20` can."""
    return a == b or any({a, b} <= group for group in SAME)


def exclude(field: str, a: str, b: str) -> bool:
    """Whether two values of this field cannot both be true.

    `restaurant` goes with every other eatType, since texts call pubs and coffee shops so.
    """
    return not agree(a, b) and not (field == "eatType" and "restaurant" in (a, b))


def judge(tokens: Sequence[str], field: str, value: str) -> Judgement:
    """The three measures of one fact."""
    known = canonical_field(field) or field
    wanted = canonical_value(known, value) or value
    said, reading = has_value(tokens, known, wanted), read(tokens)
    faults = _faults(tokens, reading)
    mine = [k for k, f in enumerate(reading.facts) if f.field == known and _same(f.value, wanted)]
    sound = [k for k in mine if k not in faults.denied and k not in faults.misplaced]
    against = list(dict.fromkeys(_against(reading, faults, known, wanted, bool(mine))))
    detail = "; ".join(against)
    if not said:
        detail = detail or f"'{wanted}' does not occur"
    elif not sound:
        detail = detail or f"'{wanted}' occurs, but not as {known}"
    owners = reading.owners
    places = [(owners[reading.facts[k].start], owners[reading.facts[k].end - 1] + 1) for k in mine]
    return Judgement(said, bool(sound), not against, detail, tuple(places))


def contradictions(tokens: Sequence[str]) -> list[str]:
    """The facts of the text that cannot both be true, one line a pair."""
    values: dict[str, dict[str, None]] = {field: {} for field in FIELDS}
    for mention in read_mentions(tokens):
        values[mention.field][mention.value] = None
    found = [
        f"{field}: {a!r} and {b!r}"
        for field, several in values.items()
        for a, b in combinations(several, 2)
        if exclude(field, a, b)
    ]
    return found + [f"{v!r} is both name and near" for v in values["name"] if v in values["near"]]


def repetitions(tokens: Sequence[str]) -> list[str]:
    """The facts that the text states more than once, one line each.

    A `name` or an eatType is not counted: texts repeat them to refer to the place.
    """
    counts = Counter((m.field, m.value) for m in read_mentions(tokens))
    return [
        f"{field}: {value!r} {count} times"
        for (field, value), count in counts.items()
        if count > 1 and field not in ("name", "eatType")
    ]


# -- what is wrong with the facts of a text -----------------------------------------------------


@dataclass
class _Faults:
    """By the index of a fact among those read: what is wrong with it."""

    denied: dict[int, str] = field(default_factory=dict)
    taken_back: dict[int, str] = field(default_factory=dict)
    """Of `Reading.denied`."""
    misplaced: dict[int, str] = field(default_factory=dict)
    glued: dict[int, str] = field(default_factory=dict)
    repeated: dict[int, str] = field(default_factory=dict)


def _same(a: str, b: str) -> bool:
    return words_of(a) == words_of(b)


def _against(
    reading: Reading, faults: _Faults, known: str, wanted: str, stated: bool
) -> Iterator[str]:
    """What in a text speaks against a fact, a line each."""
    facts = reading.facts
    for k, fact in enumerate(facts):
        if fact.field == known and agree(fact.value, wanted) and k in faults.denied:
            yield f"denied: '{faults.denied[k]}'"
    for k, fact in enumerate(reading.denied):
        aside = stated and fact.field == "area"  # `in the city centre , north of the city centre`
        if fact.field == known and agree(fact.value, wanted) and not aside:
            yield f"denied: '{faults.taken_back[k]}'"
    for k, fact in enumerate(facts):
        if fact.field == known and k not in faults.denied:
            if not _same(fact.value, wanted) and exclude(known, fact.value, wanted):
                yield f"also says '{fact.value}'"
            elif _same(fact.value, wanted):
                for kind in (faults.misplaced, faults.glued, faults.repeated):
                    if k in kind:
                        yield kind[k]
    if known in OPEN_FIELDS:
        roles = {f.field for f in facts if f.field in OPEN_FIELDS and _same(f.value, wanted)}
        if len(roles) == 2:
            yield f"'{wanted}' is both name and near"


def _faults(tokens: Sequence[str], reading: Reading) -> _Faults:
    faults = _Faults()
    starts = {f.start: k for k, f in enumerate(reading.facts)}
    spent = {i for f in reading.facts for i in range(f.start, f.end)}
    for at in range(len(reading.words)):
        if at in spent:
            continue  # `not family friendly` is a fact itself
        for k, span in _denied_at(reading, starts, at):
            faults.denied.setdefault(k, _quote(tokens, reading, *span))
    for k, fact in enumerate(reading.denied):
        start = max((i for i in range(fact.start) if _opens(reading.words, i)), default=fact.start)
        faults.taken_back[k] = _quote(tokens, reading, start, fact.start) or fact.value
    for k, fact in enumerate(reading.facts):
        if (span_after := _denied_after(reading, starts, fact)) is not None:
            faults.denied.setdefault(k, _quote(tokens, reading, *span_after))
    _set_glued(reading, faults)
    return faults


def _opens(words: list[str], at: int) -> bool:
    return words[at] in NEGATORS or words[at] in ("outside", "away", "far")


def _quote(tokens: Sequence[str], reading: Reading, start: int, end: int) -> str:
    """The text's own tokens from one word to another, with the auxiliary before them."""
    while start and reading.words[start - 1] in AUXILIARIES:
        start -= 1
    while end > start + 1 and reading.words[end - 1] in ARTICLES:
        end -= 1
    return " ".join(tokens[reading.owners[start] : reading.owners[end - 1] + 1])


def _denied_at(
    reading: Reading, starts: dict[int, int], at: int
) -> Iterator[tuple[int, tuple[int, int]]]:
    """The facts that a denier at this word denies, and the words that do it."""
    words = reading.words
    for phrase, of_area in BESIDE.items():
        if tuple(words[at : at + len(phrase)]) != phrase:
            continue
        if NEGATORS.intersection(words[max(0, at - 3) : at]):
            return  # `not far from`
        first = _next(words, starts, at + len(phrase))
        if first is None or _read_so(reading, starts[first]):
            return
        if of_area and reading.facts[starts[first]].field != "area":
            continue
        if of_area and MEASURES.intersection(words[max(0, at - 4) : at]):
            return  # `a short walk away from`
        yield from _chain(reading, starts, first, at)
        return
    for phrase in DENIERS:
        if tuple(words[at : at + len(phrase)]) == phrase:
            if words[at] not in NEGATORS and NEGATORS.intersection(words[max(0, at - 4) : at]):
                return  # `not complete without`
            first = _target(reading, starts, at + len(phrase))
            if first is not None:
                yield from _chain(reading, starts, first, at)
            return


def _next(words: list[str], starts: dict[int, int], at: int) -> int | None:
    """Where the fact begins that stands right here, but for small words."""
    while at < len(words) and at not in starts and words[at] in LINKS:
        at += 1
    return at if at in starts else None


def _target(reading: Reading, starts: dict[int, int], after: int) -> int | None:
    """Where the first fact begins that a denier before `after` can be about."""
    words = reading.words
    taken_back = {f.start for f in reading.denied}
    for at in range(after, min(after + _REACH, len(words))):
        if words[at] == "it" and words[at - 1] in NAMING:
            continue
        if at in starts:
            fact = reading.facts[starts[at]]
            if fact.field == "name" and at - after > 1:
                return None  # `no children in Zizzi`
            return None if _read_so(reading, starts[at]) else at
        if words[at] in STOPS | SPARED | DEGREES.keys() or at in taken_back:
            return None  # it denies something else
        if words[at] == "without":
            return None  # `no day is complete without`
    return None


def _read_so(reading: Reading, k: int) -> bool:
    """Whether the reader has made a "no" of this fact already, for the same denier."""
    fact = reading.facts[k]
    outright = reading.words[fact.start].startswith(("adult", "mature"))
    return (fact.field, fact.value) == ("familyFriendly", "no") and not outright


def _chain(
    reading: Reading, starts: dict[int, int], first: int, denier: int
) -> Iterator[tuple[int, tuple[int, int]]]:
    """The fact at `first`, and those joined to it: `no Italian food or French food`."""
    words, at = reading.words, first
    kind = reading.facts[starts[first]].field
    while True:
        k = starts[at]
        yield k, (denier, first)
        end = reading.facts[k].end
        while end < len(words) and end not in starts and words[end] in LINKS:
            end += 1
        if words[end : end + 1] not in (["and"], ["or"], ["nor"], [","]):
            return
        after = _next(words, starts, end + 1)
        if after is None or reading.facts[starts[after]].field != kind:
            return
        if words[end] == ",":  # `no Italian , French or Indian food`, but `no Italian , French`
            joined = reading.facts[starts[after]].end
            if words[joined : joined + 1] not in (["and"], ["or"], ["nor"], [","]):
                return
        at = after


def _denied_after(
    reading: Reading, starts: dict[int, int], fact: Mention
) -> tuple[int, int] | None:
    """The words behind a fact that deny it: `French food is not served`, `the river is far`."""
    words, at = reading.words, fact.end
    for phrase in ("it is not", "it isn t", "it does not"):
        if words[at : at + 3] == phrase.split() and words[at + 3 : at + 4] in ([], ["."]):
            return at, at + 3
    while at < len(words) and at not in starts and words[at] in LINKS:
        at += 1
    if at >= len(words) or words[at] not in AUXILIARIES:
        return None
    clause = words[at : at + 6]
    for k, word in enumerate(clause):
        if at + k in starts or word in STOPS:
            return None
        if fact.field in ("area", "near") and word == "far" and "from" not in clause[k:]:
            return None if NEGATORS.intersection(clause[:k]) else (at, at + k + 1)
        negated = {"nowhere", *NEGATORS}.intersection(clause[:k])
        if negated and word in GIVEN and fact.field in ("food", "priceRange", "eatType"):
            return (at, at + k + 1)
        if negated and word in ("near", "nearby", "close") and fact.field in ("area", "near"):
            return (at, at + k + 1) if _next(words, starts, at + k + 1) is None else None
    return None


def _set_glued(reading: Reading, faults: _Faults) -> None:
    """Names where none can stand, values that run into one another, facts said twice in a row."""
    words = reading.words
    for (j, one), (k, two) in pairwise(enumerate(reading.facts)):
        between = words[one.end : two.start]
        verb = bool(VERBS.intersection(words[two.end : two.end + 1]))
        uncued = two.field in OPEN_FIELDS and not cued(words, two.start, two.end)
        touching = between in ([], ["the"])
        if one.field == two.field and _same(one.value, two.value):
            fillers = ARTICLES | NEAR_WORDS | LINKS | {"and", "or", ","}
            # but `welcomes families with children`, `around £ 20 - £ 25`
            once = one.field != "familyFriendly" and one.value != _RANGE
            if once and fillers.issuperset(between):
                faults.repeated[j] = faults.repeated[k] = f"says '{two.value}' twice in a row"
        if touching and uncued and not verb and (one.field in OPEN_FIELDS or _number(one)):
            faults.misplaced[k] = f"'{two.value}' stands where no name can"
            faults.glued[j] = f"'{one.value}' runs into '{two.value}'"
        elif between == [] and _number(one) and _number(two) and one.field != two.field:
            faults.glued[j] = faults.glued[k] = f"'{one.value}' runs into '{two.value}'"
    for k, fact in enumerate(reading.facts):
        after = words[fact.end : fact.end + 1]
        more = bool(after) and (after[0] == "£" or after[0].isdigit())
        if more and _number(fact) and fact.value != _RANGE:
            faults.glued[k] = f"'{fact.value}' runs into '{after[0]}'"
        doubled = words[max(0, fact.start - 2) : fact.start]
        if fact.field == "near" and len(set(doubled)) == 1 < len(doubled):
            faults.misplaced[k] = f"'{fact.value}' stands where no name can"


def _number(fact: Mention) -> bool:
    return any(c.isdigit() for c in fact.value)
