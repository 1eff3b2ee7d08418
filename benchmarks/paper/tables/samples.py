"""Tables 3 and 9 to 12: what each system wrote for targets drawn by seed, not chosen."""

from __future__ import annotations

import random

from benchmarks.paper.cells import Bench
from benchmarks.paper.tables.base import Data, Table
from benchmarks.paper.tables.table2 import Table2

SHOWN = 2


class Samples(Table):
    """The first text of each system, from the cells of table 2."""

    name, title = "texts", "Tables 3 and 9 to 12: texts, of targets drawn by seed"

    def make(self, bench: Bench) -> Data:
        """As `Table`."""
        tasks = Table2().all_tasks()
        cells = bench.cells(Table2().all_systems(), tasks)
        found: Data = {}
        for task in tasks:
            own = {s: c for (t, s), c in cells.items() if t == task}
            if not own:
                continue
            common = min(own.values(), key=lambda c: len(c.targets)).targets
            drawn = random.Random(bench.seed).sample(common, min(SHOWN, len(common)))
            found[bench.tasks[task].title] = [
                {
                    "target": target,
                    "texts": {s: c.texts[c.targets.index(target)][0] for s, c in own.items()},
                }
                for target in drawn
            ]
        return {"tasks": found}

    def markdown(self, data: Data) -> str:
        """As `Table`."""
        parts = []
        for title, targets in data["tasks"].items():
            parts.append(f"**{title}**")
            for shown in targets:
                lines = [f"`{shown['target']}`", ""]
                lines += [f"- {system}: {text}" for system, text in shown["texts"].items()]
                parts.append("\n".join(lines))
        return "\n\n".join(parts)


TABLES = (Samples(),)
