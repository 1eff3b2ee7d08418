"""Facts as codes of the writer: what is said, and what is not."""

from __future__ import annotations

from random import Random

from dlm_core.control.shown import Code, Shown

_SILENT = "semantic:no "
_RATES = {"nothing": 0.2, "all and no more": 0.35, "all": 0.1}
"""How often a text is shown with so many of its facts; else with some, one as often as four."""


def code(field: str, value: str, *, is_open: bool, spelt: bool) -> Code:
    """What says this fact; `value` as the text is to spell it.

    Args:
        field, value: the fact.
        is_open: the value's words are shown as they are, to be copied.
        spelt: its words are shown beside the code: a value that is rare beside the others asked for
            is still the word it is.
    """
    words = tuple(value.split())
    if is_open:
        return Code(f"semantic:{field}", words)
    return Code(f"semantic:{field}={value}", words if spelt else ())


def silent(field: str) -> Code:
    """What says that the text says nothing of this field."""
    return Code(_SILENT + field)


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
