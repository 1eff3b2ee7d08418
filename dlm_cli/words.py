"""How things are written for a person."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_STEERING = {
    code: "\N{REPLACEMENT CHARACTER}"
    for codes in ((0, 9), (11, 32), (127, 160), (0x202A, 0x202F), (0x2066, 0x206A))
    for code in range(*codes)
}
"""Characters that steer a terminal, or turn what is read around; tab and line break may stay."""

_WORDS = {
    "string": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "tuple": 'a list, ["length:5"]',
    "list": "a list",
    "dict": "an object, {...}",
    "model": "a table of keys",
    "finite_number": "a number that is not infinite",
}
"""What an error of pydantic says a value must be, by the beginning of the error's type."""


def printable(text: str) -> str:
    """`text` without what steers a terminal: a stranger's bundle may have written it."""
    return text.translate(_STEERING)


def one_line(text: str) -> str:
    """A text without line breaks, where a line is a text, nor anything that steers a terminal."""
    return printable(" ".join(text.splitlines()))


def spell_time(seconds: float) -> str:
    """0.4 s, 12 s, 1 min 40 s, 2 h 3 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def in_words(error: ErrorDetails) -> str:
    """What an error of pydantic says, without Python's names of types."""
    kind = error["type"]
    if kind == "missing":
        return "is missing"
    wanted = next((words for start, words in _WORDS.items() if kind.startswith(start)), None)
    if wanted is not None and kind not in ("string_too_long", "int_parsing_size"):
        given = json.dumps(error["input"], default=str, ensure_ascii=False)
        return f"must be {wanted}, not {given[:40]}" + ("..." if len(given) > 40 else "")
    message = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return message.replace("Tuple should have", "must have").replace(" after validation", "")
