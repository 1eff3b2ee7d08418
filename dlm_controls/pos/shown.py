"""Tags as codes of the writer, one a place."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

from dlm_controls.pos.oracle import pos_tags
from dlm_core.control.shown import Shown

if TYPE_CHECKING:
    from dlm_core.corpora import Example

_RATE = 0.3
_LONGEST_START = 10


def code(tag: str) -> str:
    """The name of a tag's code."""
    return f"pos:{tag}"


def read(examples: Sequence[Example]) -> list[Shown]:
    """The tags of every word, by spaCy."""
    texts = [example.text.split() for example in examples]
    return [Shown(places=tuple(map(code, tags))) for tags in pos_tags(texts)]


def draw(everything: Shown, draws: Random) -> Shown:
    """Nothing, all tags, the first (and maybe the last) few, or any."""
    tags, count = everything.places, len(everything.places)
    if draws.random() >= _RATE:
        return Shown()
    u = draws.random()
    if u < 0.4:
        return everything
    if u < 0.75:
        first = draws.randint(1, min(count, _LONGEST_START))
        last = draws.choice((0, 0, 1, 2))
        kept = [k < first or k >= count - last for k in range(count)]
    else:
        share = draws.random()
        kept = [draws.random() < share for _ in range(count)]
    return Shown(places=tuple(t if k else None for t, k in zip(tags, kept, strict=True)))
