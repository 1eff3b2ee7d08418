"""A figure: a name, a value, its interval; what it is a function of, a row of statistics a unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dlm_core.evaluation.intervals import (
    Array,
    Interval,
    Total,
    interval,
    mean,
    paired_interval,
    ratio_interval,
)

Unit = Literal["%", "nats", "words", "points", ""]
"""Of a figure; `points` lie in 0..100."""


@dataclass(frozen=True, eq=False)
class Figure:
    """One measured figure.

    Attributes:
        name: as `--fail-under` names it.
        value: NaN where nothing could be measured.
        unit: shares are kept in 0..1 and shown in %.
        texts: how many it is of.
        rows: (units, K), what intervals resample; None of a figure of the whole set alone.
        total: sums of rows -> value.
    """

    name: str
    value: float
    unit: Unit
    texts: int
    rows: Array | None = None
    total: Total = mean
    bounds: Interval | None = None

    @property
    def scale(self) -> float:
        """What the value is multiplied by to be shown."""
        return 100.0 if self.unit == "%" else 1.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON: what cannot be measured is None, shares are in %."""
        found: dict[str, Any] = {"value": shown(self.value, self.scale), "unit": self.unit}
        found["texts"] = self.texts
        if self.bounds is not None:
            low, high = self.bounds.low * self.scale, self.bounds.high * self.scale
            found |= {"low": low, "high": high, "interval": self.bounds.how}
        return found


@dataclass(frozen=True)
class Units:
    """What is resampled: the targets, or the texts where there is one target alone.

    Attributes:
        names: of the targets; the places of the texts.
        owner: for each text, the place of its unit.
        what: targets or texts.
    """

    names: tuple[str, ...]
    owner: tuple[int, ...]
    what: Literal["targets", "texts"]

    @classmethod
    def of(cls, targets: Sequence[str]) -> Units:
        """From each text's target."""
        names = tuple(dict.fromkeys(targets))
        if len(names) > 1:
            place = {name: k for k, name in enumerate(names)}
            return cls(names, tuple(place[target] for target in targets), "targets")
        count = len(targets)
        return cls(tuple(map(str, range(count))), tuple(range(count)), "texts")

    def figure(
        self,
        name: str,
        unit: Unit,
        values: Sequence[Sequence[float] | float | None],
        total: Total = mean,
    ) -> Figure:
        """A figure of statistics a text; None where a text was not measured.

        A number stands for the statistics of a mean: itself, and 1.
        """
        measured = [(k, v) for k, v in zip(self.owner, values, strict=True) if v is not None]
        stats = [(v, 1.0) if isinstance(v, int | float) else tuple(v) for _, v in measured]
        if not stats:
            return Figure(name, float("nan"), unit, 0)
        rows = np.zeros((len(self.names), len(stats[0])))
        np.add.at(rows, [k for k, _ in measured], np.array(stats, dtype=float))
        kept = rows[np.unique([k for k, _ in measured])]
        share = unit == "%" and all(row[1] == 1 for row in stats)  # a mean over texts, not words
        bounds = interval(kept, total, share)
        return Figure(name, float(total(rows.sum(0))), unit, len(stats), rows, total, bounds)


@dataclass(frozen=True)
class Difference:
    """A figure of one system less that of another, over the same targets."""

    name: str
    unit: Unit
    value: float
    bounds: Interval | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON, as a figure's."""
        return Figure(self.name, self.value, self.unit, 0, bounds=self.bounds).as_dict() | {
            "texts": None
        }


def differences(
    first: Sequence[Figure], second: Sequence[Figure], places: Sequence[int]
) -> list[Difference]:
    """First less second, of each figure that both have.

    Args:
        first: figures of one system.
        second: of the other.
        places: where the units of the first stand among those of the second.
    """
    others = {figure.name: figure for figure in second}
    found = []
    for figure in first:
        other = others.get(figure.name)
        if other is None:
            continue
        bounds = None
        if figure.rows is not None and other.rows is not None:
            rows = other.rows[list(places)]
            bounds = paired_interval(figure.rows, rows, figure.total)
        found.append(Difference(figure.name, figure.unit, figure.value - other.value, bounds))
    return found


def shown(value: float, scale: float = 1.0) -> float | None:
    """A value as JSON can hold it."""
    return None if np.isnan(value) else float(value * scale)


def ratio(first: Figure, second: Figure) -> Figure:
    """A figure over another of other texts; its interval resamples the units of each."""
    value = first.value / second.value if second.value else float("nan")
    bounds = None
    if first.rows is not None and second.rows is not None and not np.isnan(value):
        bounds = ratio_interval(first.rows, first.total, second.rows, second.total)
    return Figure(first.name, value, "", first.texts, bounds=bounds)
