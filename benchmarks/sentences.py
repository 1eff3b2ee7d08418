"""The sentences of a text that is split into words."""

from __future__ import annotations

import re
from collections.abc import Sequence

_STOP = re.compile(r"[.!?]+|…")
_CLOSING = {")", "]", "”", "’", "''"}


def sentences(words: Sequence[str]) -> list[list[str]]:
    """Each up to its full stop, question or exclamation mark.

    Quotes and brackets that close behind the mark belong to the sentence; a straight quote closes
    if one is open.
    """
    found: list[list[str]] = []
    ended = True
    for word in words:
        if ended and found and (word in _CLOSING or (word == '"' and found[-1].count('"') % 2)):
            found[-1].append(word)
            continue
        if ended:
            found.append([])
        found[-1].append(word)
        ended = _STOP.fullmatch(word) is not None
    return found
