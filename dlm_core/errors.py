"""The errors a user can meet; each class carries the exit code the CLI ends with.

=====  =====================================================
code   meaning
=====  =====================================================
0      done
1      internal error, or a threshold was missed
2      usage, or a spec that cannot be read
3      a model, data set or package is missing or broken
4      the request is well formed but cannot be satisfied
5      a plugin failed
130    Ctrl-C; results already made are kept
=====  =====================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

SHOWN = 200
"""Characters of what a user gave that an error repeats; the place it is about stays in view."""
_LINE = 400
"""Characters of a line of a message: our own words, and what is repeated once or twice."""


def shorten(text: str, limit: int = SHOWN) -> str:
    """`text`, its middle left out where it has more than `limit` characters."""
    if len(text) <= limit:
        return text
    half = (limit - 3) // 2
    return f"{text[:half]}...{text[len(text) - half :]}"


class DLMError(Exception):
    """Base of every error dlm raises on purpose.

    Args:
        message: one line that names the field and the place.
        hint: what to try next, one line.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        message = "\n".join(shorten(line, _LINE) for line in message.split("\n"))
        super().__init__(message)
        self.message = message
        self.hint = hint if hint is None else shorten(hint, 2 * _LINE)


class UsageError(DLMError):
    """An option or a file cannot be read as what it should be."""

    exit_code = 2


class SpecError(UsageError):
    """A control or selector spec cannot be parsed.

    Args:
        message: what is wrong.
        source: the whole spec string as the user typed it.
        span: half-open character range in `source` to underline; a long source is shown around it.
        hint: the nearest valid value, or the grammar.
        field: of the spec, where one is at fault.
    """

    def __init__(
        self,
        message: str,
        *,
        source: str | None = None,
        span: tuple[int, int] | None = None,
        hint: str | None = None,
        field: str | None = None,
    ) -> None:
        self.source = source
        self.span = span
        self.field = field
        if source is not None:
            shown, start, end = _around(source, *(span if span is not None else (0, len(source))))
            caret = " " * start + "^" * max(1, end - start)
            message = f"{message}\n  {shown}\n  {caret}"
        super().__init__(message, hint)


def _around(source: str, start: int, end: int) -> tuple[str, int, int]:
    """What is shown of `source`, one line of at most `SHOWN` characters, and the range in it."""
    first = max(0, min(start - SHOWN // 4, len(source) - SHOWN)) if len(source) > SHOWN else 0
    window = source[first : first + SHOWN]
    shown = "".join(c if c.isprintable() else " " for c in window)
    before, after = "..." * (first > 0), "..." * (first + SHOWN < len(source))
    place = [min(max(0, k - first), len(window)) + len(before) for k in (start, end)]
    return before + shown + after, place[0], place[1]


class MissingError(DLMError):
    """A model, data set or optional package is missing, truncated or foreign."""

    exit_code = 3


class UnsatisfiableError(DLMError):
    """The request is well formed, but no text of this model can satisfy it."""

    exit_code = 4


class PluginError(DLMError):
    """A plugin raised, or returned something the protocol does not allow."""

    exit_code = 5


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice closest to `word` (case-insensitive), or None if nothing is close.

    Close is a letter changed, added, left out or swapped with its neighbour, one for every three
    letters; or to begin with all of `word`. Of several as close, the one that agrees with `word`
    the earliest (NOUN for NOUM, not NUM), then the first of them by the alphabet.
    """
    folded: dict[str, str] = {}
    for choice in choices:
        folded.setdefault(choice.casefold(), choice)
    key = word.casefold()
    best: tuple[int, int, str] | None = None
    for choice in folded:
        shorter = min(len(key), len(choice))
        allowed = max(1, max(len(key), len(choice)) // 3) if shorter > 1 else 0
        if best is not None:
            allowed = min(allowed, best[0])
        edits = _edits(key, choice, allowed)
        if edits is None and len(key) >= 3 and choice.startswith(key):
            edits = len(choice)  # nearer by letters comes first
        if edits is not None:
            pairs = enumerate(zip(key, choice, strict=False))
            same = next((k for k, (a, b) in pairs if a != b), shorter)
            found = (edits, -same, choice)
            best = found if best is None else min(best, found)
    return None if best is None else folded[best[2]]


def _edits(a: str, b: str, allowed: int) -> int | None:
    """Letters changed, added, left out or swapped between `a` and `b`; None above `allowed`."""
    if abs(len(a) - len(b)) > allowed or max(len(a), len(b)) > SHOWN:
        return None
    above: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        above, last, row = row, above, [i]
        for j, other in enumerate(b, 1):
            cost = min(above[j] + 1, row[-1] + 1, above[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > allowed and min(above) > allowed:
            return None
    return row[-1] if row[-1] <= allowed else None


def did_you_mean(word: str, choices: Iterable[str], limit: int = 12) -> str:
    """A hint for `word`: the nearest choice, or the list of them when none is near."""
    names = list(choices)
    near = nearest(word, names)
    if near is not None:
        return f"did you mean '{near}'?"
    shown = ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")
    return f"known: {shown}"
