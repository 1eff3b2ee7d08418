"""The notation of meaning representations: `name[The Mill], food[French]`."""

from __future__ import annotations

import re

_SLOT = re.compile(r"\s*([^,\[\]]*?)\s*\[([^\]]*)\]\s*(,|$)")
EXAMPLE = "name[The Mill], eatType[pub]"


def slots(text: str) -> list[tuple[str, str]]:
    """Fields and values in their order, blanks around them left out; a value may be empty.

    Raises:
        ValueError: something else stands there; names the place.
    """
    found: list[tuple[str, str]] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _SLOT.match(text, at)
        if match is None or not match[1]:
            rest = text[at:].lstrip()
            place = len(text) - len(rest)
            raise ValueError(f"character {place + 1}, '{rest[:20]}': expected FIELD[VALUE]")
        found.append((match[1], match[2].strip()))
        at = match.end()
    return found


def parse_mr(text: str) -> dict[str, str]:
    """A meaning representation as a dict; a field without a value, `near[]`, is left out.

    Raises:
        ValueError: it is malformed or empty, or a field stands in it twice.
    """
    found = slots(text)
    if not found:
        raise ValueError(f"no facts, for example {EXAMPLE}")
    return once(found)


def once(found: list[tuple[str, str]]) -> dict[str, str]:
    """Fields and values as a dict, without empty values.

    Raises:
        ValueError: a field stands twice.
    """
    fields: dict[str, str] = {}
    for name, value in found:
        if name in fields:
            raise ValueError(f"field '{name}' stands twice: '{fields[name]}' and '{value}'")
        fields[name] = value
    return {name: value for name, value in fields.items() if value}
