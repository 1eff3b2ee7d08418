"""Keywords as codes of the writer: words to copy, wherever they go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

from dlm_core.control.shown import Code, Shown

if TYPE_CHECKING:
    from dlm_core.corpora import Example

KEYWORD = "keyword"
_RATE = 0.3
_MOST = 4
_COMMON = 40
"""So many words, those that most texts have, are asked for only behind another."""


def code(phrase: str) -> Code:
    """What asks for a phrase."""
    return Code(KEYWORD, tuple(phrase.split()))


def read(examples: Sequence[Example]) -> list[Shown]:
    """The words of a text that one could ask for, each once."""
    texts = [example.text.split() for example in examples]
    found = Counter(word for words in texts for word in set(words))
    common = {word for word, n in found.most_common(_COMMON)}
    return [
        Shown(tuple(code(w) for w in dict.fromkeys(words) if w not in common and w[:1].isalnum()))
        for words in texts
    ]


def draw(everything: Shown, words: Sequence[str], draws: Random) -> Shown:
    """Nothing, or one to four of its words, some with the word that follows them."""
    if draws.random() >= _RATE or not everything.whole:
        return Shown()
    count = min(len(everything.whole), draws.randint(1, _MOST))
    chosen = []
    for one in draws.sample(everything.whole, count):
        at = words.index(one.words[0])
        longer = draws.random() < 0.25 and at + 1 < len(words)
        chosen.append(code(" ".join(words[at : at + 1 + longer])))
    return Shown(tuple(chosen))
