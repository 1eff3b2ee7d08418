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

import difflib
from collections.abc import Iterable
from typing import ClassVar


class DLMError(Exception):
    """Base of every error dlm raises on purpose.

    Args:
        message: one line that names the field and the place.
        hint: what to try next, one line.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DLMError):
    """An option or a file cannot be read as what it should be."""

    exit_code = 2


class SpecError(UsageError):
    """A control or selector spec cannot be parsed.

    Args:
        message: what is wrong.
        source: the whole spec string as the user typed it.
        span: half-open character range in `source` to underline.
        hint: the nearest valid value, or the grammar.
    """

    def __init__(
        self,
        message: str,
        *,
        source: str | None = None,
        span: tuple[int, int] | None = None,
        hint: str | None = None,
    ) -> None:
        self.source = source
        self.span = span
        if source is not None:
            start, end = span if span is not None else (0, len(source))
            caret = " " * start + "^" * max(1, end - start)
            message = f"{message}\n  {source}\n  {caret}"
        super().__init__(message, hint)


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

    Of several as close, the one that agrees with `word` the earliest (NP for NQ, not QP), then the
    first of them by the alphabet.
    """
    folded = {c.casefold(): c for c in choices}
    key = word.casefold()

    def closeness(choice: str) -> tuple[float, int]:
        matcher = difflib.SequenceMatcher(None, choice, key)
        return matcher.ratio(), -matcher.get_matching_blocks()[0].b

    close = difflib.get_close_matches(key, folded, n=max(1, len(folded)), cutoff=0.5)
    return folded[max(sorted(close), key=closeness)] if close else None


def did_you_mean(word: str, choices: Iterable[str], limit: int = 12) -> str:
    """A hint for `word`: the nearest choice, or the list of them when none is near."""
    names = list(choices)
    near = nearest(word, names)
    if near is not None:
        return f"did you mean '{near}'?"
    shown = ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")
    return f"known: {shown}"
