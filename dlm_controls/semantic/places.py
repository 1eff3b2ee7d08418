"""Names that the corpus never saw: a known one stands in until the text is finished.

The model knows how to write of known names and has no words for others. A request for an unknown
one is therefore made with a known one, whose words are replaced at the end; a text to be judged is
read the other way round (`Domain.as_known`).
"""

from __future__ import annotations

from collections.abc import Sequence


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
