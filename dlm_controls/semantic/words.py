"""The comparable words of a text: whatever its case, accents, hyphens and quotes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

_DROPPED = frozenset("-\u2013\u2014'\u2018\u2019\"\u201c\u201d`()*")
_PIECE = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+|[^\w\s]|_")


@lru_cache(maxsize=65536)
def pieces(token: str) -> tuple[str, ...]:
    """Of a token: without case and accents, hyphens and quotes dropped."""
    plain = unicodedata.normalize("NFKD", token.casefold())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return tuple(p for p in _PIECE.findall(plain) if p not in _DROPPED)


def comparable(text: str) -> tuple[str, ...]:
    """Of a text, its tokens parted by blanks."""
    return tuple(p for token in text.split() for p in pieces(token))


def cut(tokens: Sequence[str]) -> tuple[list[str], list[int]]:
    """Comparable words of tokens, and of each the index of its token."""
    found = [(piece, i) for i, token in enumerate(tokens) for piece in pieces(token)]
    return [piece for piece, _ in found], [i for _, i in found]


def find(words: Sequence[str], phrase: Sequence[str], start: int = 0) -> int:
    """Where the phrase stands first among the words, or -1."""
    size = len(phrase)
    for at in range(start, len(words) - size + 1):
        if list(words[at : at + size]) == list(phrase):
            return at
    return -1
