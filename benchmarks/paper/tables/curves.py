"""Figures of ours: success against steps and against the number of conditions, and the frontier."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from benchmarks.baselines.variants import STEPS, TEMPERATURES, by_steps, by_temperature
from benchmarks.paper.cells import Bench
from benchmarks.paper.tables.base import OURS, Data, Table, figures, grid, percent, plain

REAL = "real texts"
COUNTS = ("one", "two", "three", "four")


class Point(NamedTuple):
    """A cell and its place on the axis."""

    x: float
    task: str
    system: str


class Line(NamedTuple):
    """Points that belong together, and which measure of theirs is drawn."""

    label: str
    measure: str
    points: tuple[Point, ...]


class Curves(Table):
    """Cells in order along an axis, a line each."""

    axis: ClassVar[str]
    logarithmic: ClassVar[bool] = False

    def lines(self) -> Sequence[Line]:
        """What is drawn."""
        raise NotImplementedError

    def make(self, bench: Bench) -> Data:
        """As `Table`."""
        lines = []
        for line in self.lines():
            points: list[Data] = []
            for x, task, system in line.points:
                if cell := bench.cells([system], [task]).get((task, system)):
                    wanted = [*filter(None, [line.measure]), "lm", "distinct2"]
                    points.append({"x": x, **figures(cell, wanted)})
            if points:
                lines.append({"label": line.label, "measure": line.measure, "points": points})
        return {"lines": lines}

    def markdown(self, data: Data) -> str:
        """As `Table`."""
        rows = [["", self.axis, "success", "lm", "distinct-2", "s a text"]]
        for line in data["lines"]:
            for p in line["points"]:
                cells = [percent(p.get(line["measure"])), plain(p["lm"]), plain(p.get("distinct2"))]
                rows.append([line["label"], f"{p['x']:g}", *cells, f"{p['seconds_a_text']:.2f}"])
        return grid(rows)

    def picture(self, data: Data, path: Path) -> bool:
        """As `Table`: success left, lm right."""
        from matplotlib import pyplot as plt

        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
        for line, style in zip(data["lines"], itertools.cycle(("-", "--"))):  # lines may coincide
            x = [p["x"] for p in line["points"]]
            for axes, key, scale in ((left, line["measure"], 100), (right, "lm", 1)):
                found = [p[key] for p in line["points"]]
                values = [scale * f["value"] for f in found]
                (drawn,) = axes.plot(x, values, style, marker="o", label=line["label"])
                low, high = ([scale * f[end] for f in found] for end in ("low", "high"))
                axes.fill_between(x, low, high, alpha=0.15, color=drawn.get_color(), lw=0)
        for axes, label in ((left, "success (%)"), (right, "lm (nats a word)")):
            axes.set_xlabel(self.axis)
            axes.set_ylabel(label)
            axes.spines[["top", "right"]].set_visible(False)
            if self.logarithmic:
                axes.set_xscale("log")
            axes.set_xticks(x, [f"{value:g}" for value in x])
            axes.minorticks_off()
        left.legend(frameon=False)
        figure.savefig(path, dpi=150)
        plt.close(figure)
        return True


class ByStep(Curves):
    """See the module docstring."""

    name, title, axis = "steps", "Success against sampling steps", "steps"
    logarithmic = True

    def lines(self) -> Sequence[Line]:
        """A fact, tags."""
        return [
            Line(task, measure, tuple(Point(n, task, by_steps(n)) for n in STEPS))
            for task, measure in (("semantic", "value"), ("pos", "words"))
        ]


class ByCount(Curves):
    """See the module docstring."""

    name, title, axis = "conditions", "Success against the number of conditions", "conditions"

    def lines(self) -> Sequence[Line]:
        """A fact, then tags, words to avoid and a length beside it."""
        points = tuple(Point(k, task, OURS) for k, task in enumerate(COUNTS, 1))
        return [
            Line("the fact by its words", "all", points),
            Line("all verdicts", "satisfied", points),
        ]


class Frontier(Curves):
    """See the module docstring."""

    name, title, axis = "frontier", "Quality against variety: temperature", "temperature"
    note = "AR is a GPT-2 from scratch, of another seed than the judge. The cross is real texts."

    def lines(self) -> Sequence[Line]:
        """Free texts of ours, of the AR base, and real ones; texts under a fact."""

        def line(label: str, measure: str, task: str, system: str) -> Line:
            points = (Point(t, task, by_temperature(t, system)) for t in TEMPERATURES)
            return Line(label, measure, tuple(points))

        return [
            line("dlm, free texts", "", "free", "dlm"),
            line("AR, free texts", "", "free", "AR"),
            Line(REAL, "", (Point(1.0, "free", REAL),)),
            line("dlm, a fact", "value", "semantic", "dlm"),
        ]

    def picture(self, data: Data, path: Path) -> bool:
        """As `Table`: lm over distinct bigrams."""
        from matplotlib import pyplot as plt

        figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
        for line in data["lines"]:
            x = [p["distinct2"]["value"] for p in line["points"]]
            y = [p["lm"]["value"] for p in line["points"]]
            real = line["label"] == REAL
            axes.plot(
                x, y, "k+" if real else "o-", markersize=12 if real else None, label=line["label"]
            )
            for p, *place in () if real else zip(line["points"], x, y, strict=True):
                axes.annotate(f"{p['x']:g}", place, xytext=(4, 4), textcoords="offset points")
        axes.set_xlabel("distinct bigrams of a group of texts (more is more varied)")
        axes.set_ylabel("lm, nats a word (less is more fluent)")
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, dpi=150)
        plt.close(figure)
        return True


TABLES = (ByStep(), ByCount(), Frontier())
