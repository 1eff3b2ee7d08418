"""Does a text satisfy a control? Light: imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import NamedTuple

from dlm_core.errors import MissingError


class Place(NamedTuple):
    """Where a text says something.

    Attributes:
        start: the first of its tokens.
        end: the token after the last.
        what: a word for the reader: `food`, `left`.
    """

    start: int
    end: int
    what: str = ""


@dataclass(frozen=True)
class Verdict:
    """Does a text satisfy a control?

    Attributes:
        satisfied: True, False, or None where it cannot be judged here (`detail` says why).
        detail: one line for the person.
        score: share of the control that holds, in [0, 1]; 1.0 or 0.0 unless it has parts.
        parts: named verdicts that it is made of, `right_field` say.
        places: where among `text.split()` the text says what the control is about, if it can tell.
    """

    satisfied: bool | None
    detail: str = ""
    score: float | None = None
    parts: Mapping[str, bool] | None = None
    places: Sequence[Place] = field(default=(), compare=False)

    @classmethod
    def unjudged(cls, error: MissingError) -> Verdict:
        """What cannot be judged here, since something is missing; the detail says what helps."""
        return cls(None, error.message + (f" ({error.hint})" if error.hint else ""))

    @property
    def fault(self) -> tuple[str, str] | None:
        """What is wrong with it, and what was expected: a control may have made it of anything."""
        if self.satisfied is not None and not _is_bool(self.satisfied):
            return f"a Verdict whose satisfied is {self.satisfied!r}", "True, False or None"
        if not isinstance(self.detail, str):
            return f"a Verdict whose detail is {self.detail!r}", "a str"
        share = self.score
        if share is not None and not (isinstance(share, Real) and -1e-6 <= share <= 1 + 1e-6):
            return f"a Verdict whose score is {share!r}", "a number in [0, 1] or None"
        parts = self.parts
        if parts is not None and not (
            isinstance(parts, Mapping)
            and all(isinstance(name, str) and _is_bool(held) for name, held in parts.items())
        ):
            return f"a Verdict whose parts are {parts!r}", "a dict of str to bool, or None"
        places = self.places
        if not isinstance(places, Sequence) or not all(map(_is_place, places)):
            return f"a Verdict whose places are {places!r:.80}", "Place(start, end, what) of tokens"
        return None

    @property
    def share(self) -> float | None:
        """`score`, or 1.0 / 0.0 from `satisfied`."""
        if self.score is not None or self.satisfied is None:
            return self.score
        return float(self.satisfied)

    def __invert__(self) -> Verdict:
        """The verdict on the contrary; what cannot be judged stays so."""
        return Verdict(
            None if self.satisfied is None else not self.satisfied,
            self.detail,
            None if self.score is None else 1.0 - self.score,
            None if self.parts is None else {name: not held for name, held in self.parts.items()},
            self.places,
        )


def _is_place(value: object) -> bool:
    """Some tokens in a row, and a word."""
    return (
        isinstance(value, Place)
        and isinstance(value.start, int)
        and isinstance(value.end, int)
        and 0 <= value.start < value.end
        and isinstance(value.what, str)
    )


def _is_bool(value: object) -> bool:
    """True or False, numpy's too."""
    return type(value).__name__ in ("bool", "bool_")
