"""Places that the corpus never saw: a known place stands in until the text is finished.

The model knows how to write of known places and has no words for others. A request for an unknown
`name` or `near` is therefore made with a known one, whose words are replaced at the end; a text to
be judged is read the other way round.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from dlm_controls.semantic import reader, tables

OPEN_FIELDS = ("name", "near")
"""Fields whose values are names, of which there are always more."""


def unknown(field: str, value: str) -> bool:
    """A place that the corpus never saw."""
    return field in OPEN_FIELDS and bool(value.strip()) and not reader.canonical_value(field, value)


def stand_in(field: str, value: str) -> str:
    """The known place that a text is made with: always the same for a value.

    It has one spelling, no article, and as many words as the value where there is one.
    """
    return _candidates(field, value)[0]


def _candidates(field: str, value: str) -> list[str]:
    """Known places, best first."""
    other = OPEN_FIELDS[field == "name"]
    known = [
        place
        for place in tables.VALUES[field]
        if place not in tables.PLACE_SPELLINGS
        and place not in tables.VALUES[other]
        and not place.startswith("The ")
    ]
    turn = zlib.crc32(value.encode()) % len(known)
    wanted = len(value.split())
    return sorted(known[turn:] + known[:turn], key=lambda p: abs(len(p.split()) - wanted))


def as_known(field: str, value: str, words: Sequence[str]) -> list[str]:
    """A text as if its unknown place were the stand-in; one that names that is another's."""
    place, another, *_ = _candidates(field, value)
    return replace(replace(words, place.split(), another.split()), value.split(), place.split())


def replace(words: Sequence[str], old: Sequence[str], new: Sequence[str]) -> list[str]:
    """The words with every run of `old` replaced by `new`."""
    found: list[str] = []
    at = 0
    while at < len(words):
        if old and list(words[at : at + len(old)]) == list(old):
            found += new
            at += len(old)
        else:
            found.append(words[at])
            at += 1
    return found
