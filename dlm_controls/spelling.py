"""Words as people type them, and the tokens that a model's corpus may have made of them.

A typed word is a row of pieces: its letters and digits side by side, and each sign alone. Whoever
tokenised the corpus may have kept it whole or cut it between pieces: `don't` stands there as
`don't`, `don 't` or `don ' t`. A `Spelling` holds all of these, so that a word is the same word
however it is cut. A loose one (`avoid`) also takes other case and other hyphens. Light: no torch.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from dlm_core.errors import did_you_mean, nearest, shorten
from dlm_core.natural import tokenise

_PIECE = re.compile(r"[^\W_]+|.", re.DOTALL)
_HYPHENS = "-\u2010\u2011\u2013"
_STRAIGHT = str.maketrans("\u2018\u2019\u201c\u201d\u2010\u2011\u2013", "''\"\"---")
_CURLY = str.maketrans("'", "\u2019")
_JOINED = 8
"""Pieces of a token at most: no tokeniser leaves more together."""


@dataclass(frozen=True)
class Spelling:
    """The tokens a word or phrase may be written in: paths from place 0 to place `end`.

    Attributes:
        edges: (place, token, place after it).
        end: the last place.
    """

    edges: tuple[tuple[int, str, int], ...]
    end: int

    def reached(self, known: Collection[str]) -> int:
        """The farthest place that tokens of `known` lead to; `end` if they can write it."""
        places = {0}
        for start, token, end in sorted(self.edges, key=lambda edge: edge[0]):
            if start in places and token in known:
                places.add(end)
        return max(places)


def pieces(word: str) -> list[str]:
    """Letters and digits side by side, each sign alone."""
    return _PIECE.findall(word)


def exact(word: str) -> Spelling:
    """These characters, however they are cut into tokens; quotes and dashes straight or curly."""
    parts = pieces(word)
    edges: dict[tuple[int, str, int], None] = {}
    for start in range(len(parts)):
        for end in range(min(len(parts), start + _JOINED), start, -1):
            token = "".join(parts[start:end])
            for form in (token, token.translate(_STRAIGHT), token.translate(_CURLY)):
                edges[start, form, end] = None
    return Spelling(tuple(edges), len(parts))


def loose(phrase: str) -> Spelling:
    """A phrase with or without hyphens between its words, and in any usual case.

    `family friendly` is also `Family Friendly`, `family - friendly` and `FAMILY-FRIENDLY`.
    """
    words = phrase.translate(_STRAIGHT).replace("-", " ").split()
    if not words:  # nothing but hyphens
        return exact(phrase)
    parts: list[str] = []
    glue: list[str] = []
    for word in words:
        own = pieces(word)
        parts += own
        glue += [""] * (len(own) - 1) + ["-"]
    edges: dict[tuple[int, str, int], None] = {}
    for start in range(len(parts)):
        joined = ""
        for end in range(start + 1, min(len(parts), start + _JOINED) + 1):
            joined += (glue[end - 2] if end - 1 > start else "") + parts[end - 1]
            for form in _cases(joined):
                edges[start, form, end] = None
                edges[start, form.translate(_CURLY), end] = None
        if start and glue[start - 1]:
            for hyphen in _HYPHENS:
                edges[start, hyphen, start] = None
    return Spelling(tuple(edges), len(parts))


def _cases(token: str) -> tuple[str, ...]:
    """As typed, small, with one capital, with one for each word, all capitals."""
    first = token[:1].upper() + token[1:].lower()
    titled = "-".join(part[:1].upper() + part[1:].lower() for part in token.split("-"))
    return token, token.lower(), first, titled, token.upper()


def ranks(words: Iterable[str]) -> dict[str, int]:
    """Each word's place, the most frequent first as in a vocabulary."""
    found: dict[str, int] = {}
    for word in words:
        found.setdefault(word, len(found))
    return found


def split(word: str, known: Mapping[str, int]) -> list[str] | None:
    """A word in tokens of `known`, `ranks` of them; None if they cannot write it.

    Of several ways the one whose rarest token is the most frequent: `20 - 25`, although `20-` is a
    token, too.
    """
    if word in known:
        return [word]
    best: dict[int, tuple[int, list[str]]] = {0: (-1, [])}
    spelling = exact(word)
    for start, token, end in spelling.edges:  # in the order of their starts
        if start in best and token in known:
            rarest, tokens = best[start]
            way = (max(rarest, known[token]), [*tokens, token])
            best[end] = min(best.get(end, way), way)
    return best[spelling.end][1] if spelling.end in best else None


def split_text(text: str, known: Mapping[str, int]) -> str:
    """A text with each word as `split` gives it; one that cannot be written is cut at its marks."""
    return " ".join(
        token for word in text.split() for token in split(word, known) or tokenise(word, known)
    )


class UnknownWord(NamedTuple):
    """What of a typed word a model does not know."""

    text: str
    at: int
    """The character of the word where it begins."""
    hint: str

    @property
    def message(self) -> str:
        """For an error or a warning."""
        return f"the model does not know the word '{shorten(self.text)}'"


def unknown(word: str, known: Mapping[str, int]) -> UnknownWord | None:
    """What of a typed word `known` cannot write; None if all of it can be."""
    spelling = exact(word)
    reached = spelling.reached(known)
    if reached == spelling.end:
        return None
    parts = pieces(word)
    near = nearest(word, known)
    if near is None and len(parts) > 1:
        part = parts[reached]
        near = nearest(part, known)
        at = len("".join(parts[:reached]))
    else:
        part, at = word, 0
    far = "the model writes the words of its corpus, and none of them is near"
    return UnknownWord(part, at, far if near is None else did_you_mean(part, [near]))
