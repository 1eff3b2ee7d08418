"""What a table or figure is: made of a bench as JSON, shown as Markdown and as a picture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

from benchmarks.found import joining
from benchmarks.paper.cells import Bench, Cell
from benchmarks.paper.intervals import difference, mean
from benchmarks.paper.metrics import metrics

Data = dict[str, Any]
OURS = "dlm"


class Table(ABC):
    """A table or figure of the paper, or one of ours beside them.

    Attributes:
        name: on the command line and in file names.
        title: above the table.
        note: below it: what a reader must know to read it.
        systems, tasks: its rows and columns, if it has such; files that join it bring more.
        everyday: for a model of everyday English, given with its corpus.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    note: ClassVar[str] = ""
    systems: ClassVar[tuple[str, ...]] = ()
    tasks: ClassVar[tuple[str, ...]] = ()
    everyday: ClassVar[bool] = False

    def all_systems(self) -> list[str]:
        """Its own, and those of files that join it."""
        joined = joining("benchmarks.baselines", self.name)
        return [*self.systems, *(name for module in joined for name in module.SYSTEMS)]

    def all_tasks(self) -> list[str]:
        """Its own, and those of files that join it."""
        joined = joining("benchmarks.paper.tasks", self.name)
        return [*self.tasks, *(task.name for module in joined for task in module.TASKS)]

    @abstractmethod
    def make(self, bench: Bench) -> Data:
        """Everything that is shown, as JSON."""

    @abstractmethod
    def markdown(self, data: Data) -> str:
        """The table."""

    def picture(self, data: Data, path: Path) -> bool:
        """Draw it; False if it has no picture."""
        return False


def figures(cell: Cell, measures: Sequence[str]) -> Data:
    """Measures of a cell with their intervals, and the seconds a text took."""
    numbers = metrics()  # what tasks measure are shares
    out: Data = {
        m: mean(list(cell.means(m).values()), m not in numbers)
        for m in measures
        if m in cell.scores
    }
    texts = sum(map(len, cell.texts))
    return out | {"texts": texts, "seconds_a_text": cell.seconds / texts}


def against_best(
    cells: Mapping[tuple[str, str], Cell], task: str, measure: str, ours: str = OURS
) -> Data | None:
    """Our row minus the best other one on the targets that both were asked; None without either."""
    mine = cells.get((task, ours))
    others = {s: c for (t, s), c in cells.items() if t == task and s != ours}
    if mine is None or not others:
        return None
    best = max(others.values(), key=lambda c: fmean(c.means(measure).values()))
    own, their = mine.means(measure), best.means(measure)
    common = [t for t in own if t in their]
    figure = difference([own[t] for t in common], [their[t] for t in common])
    return {"measure": measure, "best": best.system, **figure}


def percent(figure: Mapping[str, float] | None, signed: bool = False) -> str:
    """`81.2 [75, 86]` of a share."""
    if figure is None:
        return "–"
    value, low, high = (100 * figure[key] for key in ("value", "low", "high"))
    return (
        f"{value:+.1f} [{low:+.0f}, {high:+.0f}]"
        if signed
        else f"{value:.1f} [{low:.0f}, {high:.0f}]"
    )


def plain(figure: Mapping[str, float] | None) -> str:
    """`2.55 [2.4, 2.7]` of a number."""
    if figure is None:
        return "–"
    return f"{figure['value']:.2f} [{figure['low']:.2f}, {figure['high']:.2f}]"


def grid(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its first row the head."""
    head, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, f"|{'---|' * len(rows[0])}", *rest])


def bars(
    path: Path,
    groups: Sequence[str],
    series: Mapping[str, Sequence[Mapping[str, float] | None]],
    label: str,
) -> None:
    """Bars with intervals, a group a task and a bar a system."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
    width = 0.85 / len(series)
    for k, (name, found) in enumerate(series.items()):
        shown = [(i, f) for i, f in enumerate(found) if f is not None]
        x = [i + (k - (len(series) - 1) / 2) * width for i, _ in shown]
        y = [100 * f["value"] for _, f in shown]
        ends = [
            [max(0.0, 100 * (f["value"] - f["low"])) for _, f in shown],
            [max(0.0, 100 * (f["high"] - f["value"])) for _, f in shown],
        ]
        axes.bar(x, y, width * 0.92, label=name, yerr=ends, error_kw={"lw": 0.8}, color=f"C{k}")
    axes.set_xticks(range(len(groups)), groups)
    axes.set_ylabel(label)
    axes.set_ylim(0, 105)
    axes.legend(
        ncols=min(4, len(series)), loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
