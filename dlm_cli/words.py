"""How things are written for a person."""

from __future__ import annotations

_STEERING = {
    code: "\N{REPLACEMENT CHARACTER}"
    for codes in ((0, 9), (11, 32), (127, 160), (0x202A, 0x202F), (0x2066, 0x206A))
    for code in range(*codes)
}
"""Characters that steer a terminal, or turn what is read around; tab and line break may stay."""


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
