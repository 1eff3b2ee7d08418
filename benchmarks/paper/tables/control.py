"""Tables of success and fluency by task and system: 2 and 4 of the paper, and ours on patterns."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from benchmarks.found import joining
from benchmarks.paper.cells import Bench
from benchmarks.paper.tables.base import (
    OURS,
    Data,
    Table,
    against_best,
    bars,
    figures,
    grid,
    percent,
    plain,
)

SHOWN = {"lm": "lm ↓"}
"""Metrics behind the measures of a task, and their titles."""
BESIDE = ("lm", "distinct2", "self_bleu4")
"""Those that the JSON holds."""


class ControlTable(Table):
    """A row a system; of each task its measures and the lm-score.

    Attributes:
        paper: what the paper reports, by system and task: measures in percent, then lm.
        every: all measures of a task are shown, not the first alone.
    """

    paper: ClassVar[dict[str, dict[str, tuple[float, ...]]]] = {}
    every: ClassVar[bool] = False

    def make(self, bench: Bench) -> Data:
        """As `Table`."""
        systems, tasks = self.all_systems(), self.all_tasks()
        cells = bench.cells(systems, tasks)
        shown = [t for t in tasks if any(task == t for task, _ in cells)]
        measures = {t: bench.tasks[t].measures for t in shown}
        joined = joining("benchmarks.paper.metrics", self.name)
        beside = [*SHOWN, *(metric for module in joined for metric in module.METRICS)]
        rows = {
            name: {
                t: figures(cells[t, name], [*measures[t], *dict.fromkeys([*BESIDE, *beside])])
                for t in shown
                if (t, name) in cells
            }
            for name in systems
        }
        return {
            "beside": beside,
            "tasks": {t: {"title": bench.tasks[t].title, "measures": measures[t]} for t in shown},
            "rows": {name: row for name, row in rows.items() if row},
            "paired": {
                t: [found for m in self._shown(measures[t]) if (found := against_best(cells, t, m))]
                for t in shown
            },
        }

    def _shown(self, measures: dict[str, str]) -> list[str]:
        return list(measures) if self.every else list(measures)[:1]

    def markdown(self, data: Data) -> str:
        """As `Table`."""
        tasks, beside = data["tasks"], data.get("beside", SHOWN)
        head = [""]
        for task in tasks.values():
            titles = [task["measures"][m] for m in self._shown(task["measures"])]
            head += [
                f"{task['title']}: {titles[0]} ↑",
                *(f"{title} ↑" for title in titles[1:]),
                *(SHOWN.get(metric, metric) for metric in beside),
            ]
        rows = [head]
        for name, row in data["rows"].items():
            cells = [name if name != OURS else f"**{name}**"]
            for t, task in tasks.items():
                found = row.get(t, {})
                cells += [percent(found.get(m)) for m in self._shown(task["measures"])]
                cells += [plain(found.get(metric)) for metric in beside]
            rows.append(cells)
        for name, reported in self.paper.items():
            cells = [f"*paper: {name}*"]
            for t, task in tasks.items():
                width = len(self._shown(task["measures"])) + len(beside)
                values = reported.get(t, ())
                cells += [f"*{v:g}*" for v in values] + ["–"] * (width - len(values))
            rows.append(cells)
        return "\n\n".join([grid(rows), self._paired(data)])

    def _paired(self, data: Data) -> str:
        lines = [
            f"{data['tasks'][t]['title']}, {data['tasks'][t]['measures'][p['measure']]}: "
            f"{percent(p, signed=True)} against {p['best']} ({p['targets']} targets)"
            for t, found in data["paired"].items()
            for p in found
        ]
        head = f"{OURS} minus the best other row, paired by target, in points:"
        return "\n".join([head, "", *(f"- {line}" for line in lines)]) if lines else ""

    def picture(self, data: Data, path: Path) -> bool:
        """As `Table`: the first measure of each task."""
        if not data["rows"]:
            return False
        first = {t: next(iter(task["measures"])) for t, task in data["tasks"].items()}
        series = {
            name: [row.get(t, {}).get(m) for t, m in first.items()]
            for name, row in data["rows"].items()
        }
        titles = [task["title"].replace(" + ", "\n+ ") for task in data["tasks"].values()]
        bars(path, titles, series, "success (%)")
        return True
