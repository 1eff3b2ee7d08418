"""Facts as codes of the writer: what is said, and what is not."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from dlm_controls.semantic import tables
from dlm_controls.semantic.oracle import contradictions, repetitions
from dlm_controls.semantic.places import OPEN_FIELDS
from dlm_controls.semantic.reader import read_mentions
from dlm_core.control.shown import Code, Shown

if TYPE_CHECKING:
    from dlm_core.corpora import Example

_SILENT = "semantic:no "
_SPELT = ("eatType", "food", "area")
"""Fields whose values mostly stand in a text as they are spelt."""
_RATES = {"nothing": 0.2, "all and no more": 0.35, "all": 0.1}
"""How often a text is shown with so many of its facts; else with some, one as often as four."""


def code(field: str, value: str) -> Code:
    """What says this fact; `value` as the text is to spell it."""
    if field in OPEN_FIELDS:  # its words are shown as they are, to be copied
        return Code(f"semantic:{field}", tuple(value.split()))
    # With its words: a value that is rare beside the others asked for is still the word it is.
    return Code(f"semantic:{field}={value}", tuple(value.split()) if field in _SPELT else ())


def silent(field: str) -> Code:
    """What says that the text says nothing of this field."""
    return Code(_SILENT + field)


def read(example: Example) -> Shown | None:
    """All that a text says, and the fields it says nothing of; None if it contradicts itself.

    A text that repeats a fact is left out as well, so that the writer learns to say each once.
    """
    tokens = example.text.split()
    if contradictions(tokens) or repetitions(tokens):
        return None
    facts: dict[tuple[str, str], Code] = {}
    for mention in read_mentions(tokens):
        spelt = " ".join(tokens[mention.start : mention.end])
        key = mention.field, mention.value
        facts.setdefault(key, code(mention.field, spelt if key[0] in OPEN_FIELDS else key[1]))
    said = {field for field, _ in facts} | set(example.fields)
    return Shown((*facts.values(), *(silent(f) for f in tables.FIELDS if f not in said)))


def draw(everything: Shown, draws: Random) -> Shown:
    """Nothing, all of it, the facts alone, or some of them and of what is not said."""
    facts = [c for c in everything.whole if not c.name.startswith(_SILENT)]
    others = [c for c in everything.whole if c.name.startswith(_SILENT)]
    u = draws.random()
    if u < _RATES["nothing"]:
        return Shown()
    u -= _RATES["nothing"]
    if u >= _RATES["all and no more"]:
        left_out = 1.0 if draws.random() < 0.6 else draws.random()
        others = [c for c in others if draws.random() >= left_out]
        if u >= _RATES["all and no more"] + _RATES["all"]:
            facts = draws.sample(facts, draws.randint(min(1, len(facts)), len(facts)))
    return Shown((*facts, *others))
