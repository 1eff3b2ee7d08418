"""Reads the facts of an E2E restaurant text back into meaning-representation fields, by rules.

The reader works on tokens, whatever their spacing: case, accents, hyphens and quotes do not count,
so `family - friendly`, `family-friendly` and `Family friendly` are one phrase. It has three parts:

* PHRASES, the table of phrases that say a value outright (`sushi` says food=Japanese).
* DEGREES, the words that rate or price a place by the word next to them (`low` in `low prices`,
  `low customer ratings`, `its rating is low`).
* NEAR_WORDS and the rules of `_set_roles`, which tell a `near` place from the place described.

What the facts are worth (said in the right field, denied, contradicted) is judged in `oracle`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

from dlm_controls.semantic.e2e.tables import (
    AFTER,
    ALIASES,
    AREAS,
    ARTICLES,
    AWAY,
    BANDS,
    BEFORE,
    BOTH,
    DEGREES,
    DOERS,
    NEAR_PAIRS,
    NEAR_WORDS,
    NEGATORS,
    NO_PLACES,
    NUMBER,
    ONLY,
    PHRASES,
    PLACE_SPELLINGS,
    PRICE,
    RATING,
    SPELT,
    STOPS,
    VALUES,
    VENUES,
    VERBS,
)
from dlm_controls.semantic.words import comparable, cut

_PRICE = re.compile(r"£?\s*(\d+)(?:\.\d+)?\s*(?:pounds)?")


@dataclass(frozen=True)
class Mention:
    """A fact stated by the tokens `start` to `end` (half-open)."""

    field: str
    value: str
    start: int
    end: int


def words_of(text: str) -> tuple[str, ...]:
    """The comparable words of a text."""
    return tuple(SPELT.get(p, p) for p in comparable(text))


def _expand(template: str) -> Iterator[str]:
    """Every phrase of a template, `[low|mid] priced` for one."""
    parts = re.findall(r"\(([^)]*)\)|\[([^\]]*)\]|([^(\[]+)", template)
    choices = [
        must.split("|") if must else ["", *may.split("|")] if may else [plain]
        for must, may, plain in parts
    ]
    for choice in product(*choices):
        yield " ".join(" ".join(choice).split())


def canonical_field(name: str) -> str | None:
    """The E2E name of a field however it is spelt (`Type`, `family_friendly`), or None."""
    return ALIASES.get(re.sub(r"[\s_-]", "", name).lower())


def _spellings(value: str) -> Iterator[str]:
    for spelling in (value, *PLACE_SPELLINGS.get(value, ())):
        yield spelling
        if spelling.startswith("The "):
            yield spelling.removeprefix("The ")


_PLACES = tuple(dict.fromkeys(VALUES["name"] + VALUES["near"]))
_Entry = tuple[str, str]


@cache
def _lexicon() -> dict[str, list[tuple[tuple[str, ...], _Entry]]]:
    """First word -> (words, (field, value)), the longest phrases first."""
    found: dict[tuple[str, ...], _Entry] = {(word,): ("degree", word) for word in DEGREES}
    found["family",] = ("family", "yes")
    for field, values in PHRASES.items():
        for value, templates in values.items():
            for template in templates:
                for phrase in _expand(template):
                    found.setdefault(words_of(phrase), (field, value))
    for place in _PLACES:
        for spelling in _spellings(place):
            words = words_of(spelling)
            found[words] = ("place", place)
            found.setdefault((*words[:-1], words[-1] + "s"), ("place", place))
    index: dict[str, list[tuple[tuple[str, ...], _Entry]]] = {}
    for words in sorted(found, key=len, reverse=True):
        index.setdefault(words[0], []).append((words, found[words]))
    return index


def _degree(words: list[str], at: int) -> _Entry | None:
    """What the degree word at `at` is about, by the nearest noun: the prices or the rating."""
    price, rating = DEGREES[words[at]]
    before = words[max(0, at - 2) : at]
    if {"below", "above", "not", "than"}.intersection(before) or NUMBER.intersection(before[-1:]):
        return None
    for step, span, fillers in ((1, 4, AFTER), (-1, 9, BEFORE)):
        for i in range(at + step, at + step * span, step):
            word = words[i] if 0 <= i < len(words) else "."
            if word in RATING or word in PRICE:
                if words[at] == "average" and step > 0 and _number_follows(words, i + 1):
                    return None  # a mean: `an average customer rating of 1 out of 5`
                if word in PRICE:
                    return ("priceRange", price) if price else None
                return ("customer rating", rating) if rating else None
            if word not in fillers:
                break
    if words[at].startswith("moderate"):
        return ("priceRange", "moderate")
    if words[at] == "average" and VENUES.intersection(words[at + 1 : at + 2]):
        return ("customer rating", "average")
    return None


def _number_follows(words: list[str], at: int) -> bool:
    for word in words[at : at + 3]:
        if word in STOPS:
            return False
        if word in NUMBER:
            return True
    return False


def _negated(words: list[str], at: int, reach: int = 5) -> bool:
    for i in range(at - 1, max(at - reach - 1, -1), -1):
        if words[i] in STOPS:
            return False
        if words[i] in NEGATORS:
            return words[i + 1] not in ONLY
    return False


@dataclass
class _Found:
    field: str
    value: str
    start: int
    end: int


def _find(words: list[str]) -> tuple[list[_Found], list[_Found]]:
    """The phrases of the text, longest first from the left, and those that a "not" takes back.

    Places are still without their role.
    """
    index, at = _lexicon(), 0
    found: list[_Found] = []
    denied: list[_Found] = []
    while at < len(words):
        end = at + 1
        for phrase, (field, value) in index.get(words[at], ()):
            if tuple(words[at : at + len(phrase)]) != phrase:
                continue
            end = at + len(phrase)
            entry: _Entry | None = (field, value)
            if field == "degree":
                entry = _degree(words, at)
            elif field == "familyFriendly" and value == "yes" and _negated(words, at):
                entry = (field, "no")
            elif field == "family":
                venue = VENUES.intersection(words[end : end + 1])
                entry = ("familyFriendly", "no" if _negated(words, at) else "yes")
                entry = entry if venue else None
            elif value in ("high", "cheap") and _negated(words, at, reach=3):
                denied.append(_Found(field, value, at, end))
                entry = None
            elif words[at].startswith("adult") and BOTH.intersection(
                words[max(0, at - 1) : at] + words[end : end + 1]
            ):
                entry = None  # `for children and adults`
            elif value == "city centre" and AWAY.intersection(words[max(0, at - 4) : at]):
                denied.append(_Found(field, value, at, end))
                entry = None
            if entry:
                found.append(_Found(*entry, at, end))
            break
        at = end
    return found, denied


def cued(words: list[str], start: int, end: int) -> bool:
    """Whether the words around a place say that something is near it."""
    i = start - 1
    while i >= 0 and words[i] in ARTICLES:
        i -= 1
    if i >= 0:
        pair = NEAR_PAIRS.get(words[i], frozenset())
        if words[i] == "by" and words[max(0, i - 1)] in DOERS:
            return False
        if words[i] in NEAR_WORDS or pair.intersection(words[max(0, i - 4) : i]):
            return True
    after = words[end : end + 3]
    if after[:1] == ["nearby"] or after[:2] == ["is", "nearby"]:
        return [*words, "."][end + after.index("nearby") + 1] in STOPS  # not `X nearby the Y`
    return "in" in words[max(0, start - 2) : start] and bool(AREAS.intersection(after[:1]))


def _set_roles(words: list[str], found: list[_Found]) -> None:
    """Turn each place into `near` or `name`."""
    places = [f for f in found if f.field == "place"]
    ends = {f.end: f for f in found}
    for f in places:
        near = cued(words, f.start, f.end)
        i = f.start - (words[f.start - 1 : f.start] == ["the"])
        if not near and words[i - 1 : i] == ["and"] and i - 1 in ends:
            # `near X and Y`, `by the river and Y`, but not `near X and Y is a pub`.
            first = ends[i - 1]
            near = first.field == "near" or (
                first.field == "area" and cued(words, first.start, first.end)
            )
            near = near and not VERBS.intersection(words[f.end : f.end + 1])
        f.field = "near" if near else "name"
    # Of places without a cue, only the likeliest name is the name: the others are neighbours.
    names = [f for f in places if f.field == "name"]
    best = min((_rank(f.value) for f in names), default=0)
    for f in names:
        opens = f.start == 0 or words[f.start - 1] == "."
        subject = opens and words[f.end : f.end + 2] in (["is", "a"], ["is", "an"])
        if _rank(f.value) > best and not subject:
            f.field = "near"


def _rank(place: str) -> int:
    """0 for a place that is only ever a name, 1 for one that may be a neighbour too, else 2."""
    return (place in VALUES["near"]) + (place not in VALUES["name"])


def _strangers(
    tokens: Sequence[str], words: list[str], owners: list[int], found: list[_Found]
) -> Iterator[_Found]:
    """Unlisted places: capitalised words that stand where a name or a neighbour does.

    Only for a role that no listed place has, since real texts capitalise much else.
    """
    taken = {i for f in found for i in range(f.start, f.end)}
    missing = {"name", "near"} - {f.field for f in found}
    at = 0
    while missing and at < len(words):
        end = at
        while end < len(words) and end not in taken and tokens[owners[end]][:1].isupper():
            end += 1
        opening = not at and words[end : end + 1] and words[end] in VERBS
        role = "near" if cued(words, at, end) else "name"
        named = role == "near" or opening or (at and words[at - 1] in {"called", "named"})
        if end > at and role in missing and named and words[end - 1] not in NO_PLACES:
            missing.remove(role)
            value = " ".join(tokens[i] for i in dict.fromkeys(owners[at:end]))
            yield _Found(role, value, at, end)
        at = max(end, at + 1)


@dataclass(frozen=True)
class Reading:
    """A text as comparable words, and the facts in it; their places count words, not tokens.

    Attributes:
        words: of the text.
        owners: of each word, the index of its token.
        facts: in order.
        denied: what a "not" or "outside" takes back: `cheap`, `high`, `city centre`.
    """

    words: list[str]
    owners: list[int]
    facts: list[Mention]
    denied: list[Mention]


def read(tokens: Sequence[str]) -> Reading:
    """Every fact that the text states, in order; a fact stated twice comes twice.

    A place that is in neither list of VALUES is read where the context calls for one: capitalised
    words after a word of nearness, after `called` or `named`, or as the subject of a sentence.
    """
    found_words, owners = cut(tokens)
    words = [SPELT.get(word, word) for word in found_words]
    found, denied = _find(words)
    _set_roles(words, found)
    found += list(_strangers(tokens, words, owners, found))
    found.sort(key=lambda f: f.start)
    facts, taken_back = (
        [Mention(f.field, f.value, f.start, f.end) for f in some] for some in (found, denied)
    )
    return Reading(words, owners, facts, taken_back)


def read_mentions(tokens: Sequence[str]) -> list[Mention]:
    """The facts of `read`, with their places among the tokens."""
    reading = read(tokens)
    owners = reading.owners
    return [replace(f, start=owners[f.start], end=owners[f.end - 1] + 1) for f in reading.facts]


def canonical_value(field: str, value: str) -> str | None:
    """The E2E spelling of a value (`£20-25` is `£ 20 - 25`, `city center` is `city centre`).

    Any known place can be a `name` or a `near`. None if the field or the value is unknown.
    """
    known, words = canonical_field(field), words_of(value)
    if known is None or not words:
        return None
    for candidate in _PLACES if known in ("name", "near") else VALUES[known]:
        if words_of(candidate) == words:
            return candidate
    if words[0] in DEGREES and len(words) == 1 and known in ("priceRange", "customer rating"):
        return DEGREES[words[0]][known == "customer rating"]
    entries = dict(_lexicon().get(words[0], ()))
    kind, found = entries.get(words, ("", ""))
    return found if kind == ("place" if known in ("name", "near") else known) else None


def band(field: str, value: str) -> str | None:
    """The priceRange that a number is in (`£15`, `29 pounds`); None if it is none."""
    price = _PRICE.fullmatch(value.strip()) if field == "priceRange" else None
    return None if price is None else next(band for top, band in BANDS if int(price[1]) < top)


def _paraphrases(field: str, value: str) -> Iterator[str]:
    if field in ("name", "near"):
        yield from _spellings(value)
        return
    if field != "familyFriendly":
        yield value
    for template in PHRASES[field].get(value, ()):
        yield from _expand(template)
    for word, degree in DEGREES.items():
        nouns = {
            "priceRange": ("price range", "prices", "price", "[-] priced"),
            "customer rating": ("customer rating", "rating", "[-] rated"),
        }.get(field, ())
        if nouns and degree[field == "customer rating"] == value:
            for noun in nouns[-1:] if word.endswith("ly") else nouns:
                yield from _expand(f"{word} {noun}")


@cache
def realisations(field: str, value: str) -> tuple[tuple[str, ...], ...]:
    """The phrases that state `field=value`, as tokens, the value's own words first.

    `read_mentions` reads each of them as that fact, given its context: a `near` value after a
    word of nearness, and a bare `low`, `average` or `high` beside a word for prices or ratings.
    """
    known, found = canonical_field(field), canonical_value(field, value)
    if known is None or found is None:
        return ()
    return tuple(dict.fromkeys(tuple(p.split()) for p in _paraphrases(known, found)))
