"""A task of the tables: targets, how success is judged, and what a baseline can be told of it."""

from __future__ import annotations

import gzip
import json
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

from benchmarks.baselines.base import Ask
from benchmarks.baselines.lab import Lab
from dlm_controls import Semantic
from dlm_core.control.compose import Controls
from dlm_core.errors import MissingError

FRAME = {"START", "END", "\n"}
"""What the released targets hold beside words."""
Scores = dict[str, list[list[float]]]
"""Measure -> target -> text."""
LOOKED_AT = 10
"""Targets, evenly spaced, that were looked at while the baselines' settings were chosen."""
DRAW = 20260713
"""Seed of the order in which targets are asked, whatever the seed of the texts."""


class Target(NamedTuple):
    """What is asked, and what it was taken from.

    Attributes:
        reference: the text that it was taken from.
        place: in the whole list.
        others: further texts that would do.
        alone: a sentence that is judged by itself: of a gap, without its sides.
    """

    controls: Controls
    reference: str
    place: int = 0
    others: tuple[str, ...] = ()
    alone: bool = False

    @property
    def references(self) -> tuple[str, ...]:
        """Every text that would do."""
        return (self.reference, *self.others)

    @property
    def name(self) -> str:
        """In cells: what is asked, or which of the groups of free texts it is."""
        return str(self.controls) or f"free {self.place}"


class Task(ABC):
    """A column of a table.

    Attributes:
        name: in commands and files.
        title: in tables.
        measures: name -> title of what `judge` gives, the first being what the paper reports.
        looked_at: how many targets, evenly spaced, are never asked, since settings were chosen on
            them.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    measures: ClassVar[dict[str, str]]
    looked_at: ClassVar[int] = 0

    @abstractmethod
    def all_targets(self, lab: Lab) -> list[Target]:
        """Every released target."""

    @abstractmethod
    def judge(self, targets: Sequence[Target], groups: Sequence[Sequence[str]]) -> Scores:
        """Measures of the texts of each target, by the controls' own verdicts."""

    def asks(self, lab: Lab, target: Target, n: int, seed: int, sized: bool) -> list[Ask]:
        """The requests whose texts, in order, are the n of a target.

        Args:
            lab: data and what is trained.
            target: one of `targets`.
            n: how many texts.
            seed: of the first.
            sized: the system is told how many words a gap has.
        """
        return [Ask(target.controls, n, seed)]

    def targets(self, lab: Lab, limit: int) -> list[Target]:
        """`limit` of them at most, drawn by `DRAW`: fewer are the first of more."""
        every = self.all_targets(lab)
        seen = {k * len(every) // self.looked_at for k in range(self.looked_at)}
        places = [place for place in range(len(every)) if place not in seen]
        random.Random(DRAW).shuffle(places)
        return [every[place]._replace(place=place) for place in places[:limit]]


def released(lab: Lab, name: str) -> list[Any]:
    """Rows of control_targets/NAME.jsonl.

    Raises:
        MissingError: the file is not there.
    """
    path = lab.shared / "data" / "control_targets" / f"{name}.jsonl"
    try:
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    except OSError as error:
        raise MissingError(f"cannot read {path}: {error.strerror}", "set DLM_SHARED") from error


def packed(lab: Lab, place: str) -> str:
    """What data/PLACE, packed by gzip, says.

    Raises:
        MissingError: the file is not there.
    """
    path = lab.shared / "data" / place
    try:
        return gzip.decompress(path.read_bytes()).decode("utf-8")
    except OSError as error:
        raise MissingError(f"cannot read {path}: {error.strerror}", "set DLM_SHARED") from error


def unframed(row: dict[str, Any], key: str) -> list[str]:
    """The entries of a released row that stand beside words."""
    return [x for x, word in zip(row[key], row["words_"], strict=True) if word not in FRAME]


def fact(tokens: Sequence[str]) -> Semantic:
    """`food : Japanese` as a control."""
    field, _, value = " ".join(tokens).partition(" : ")
    return Semantic(field=field, value=value)


def each(
    targets: Sequence[Target],
    groups: Sequence[Sequence[str]],
    measure: Callable[[Target, str], dict[str, float]],
) -> Scores:
    """Scores from a measure of one text."""
    found = [[measure(t, x) for x in group] for t, group in zip(targets, groups, strict=True)]
    names = list(found[0][0])
    return {name: [[one[name] for one in group] for group in found] for name in names}
