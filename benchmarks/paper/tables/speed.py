"""App. C: seconds for 50 texts, every system in one run on one machine, and how many times ours.

A system of minutes writes fewer texts, and the time of one is taken 50 times; a batch of 50 would
serve it better, so its figure is an upper bound.
"""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.baselines.base import Ask
from benchmarks.baselines.variants import ONE_DRAFT
from benchmarks.paper.cells import APART, Bench
from benchmarks.paper.tables.base import OURS, Data, Table, grid
from dlm_core.control.compose import Controls

TEXTS = 50


class Speed(Table):
    """See the module docstring."""

    name, title = "C", "App. C: seconds for 50 texts under one fact"
    note = (
        "The same fact, one batch, training left out. The paper's times on its GPU: PPLM 80 min, "
        "Diffusion-LM 80 s, FUDGE 50 s. A slow system is timed on a few texts. AR is "
        f"asked for nothing. {OURS} makes four drafts of a text where its writer writes, and "
        f"corrects faults; {ONE_DRAFT} draws once, as the others do."
    )
    systems = (
        "AR",
        "PPLM",
        "FUDGE",
        "release's loop",
        "writer alone",
        "FT-sample",
        "FT-search",
        ONE_DRAFT,
        OURS,
    )

    def make(self, bench: Bench) -> Data:
        """As `Table`: timed anew each time, since times of two runs do not compare."""
        target = bench.tasks["semantic"].targets(bench.lab, 1)[0]
        rows = {}
        for name in self.all_systems():
            if bench.only_systems and name not in bench.only_systems:
                continue
            system = bench.system(name)
            asked = target.controls if system.does(target.controls) else Controls()
            system.prepare([asked])
            count = max(2, bench.budget.slow_samples) if system.slow else TEXTS
            if not system.slow:  # read what is read on first use
                system.generate_all([Ask(asked, 1, bench.seed + APART)])
            began = time.perf_counter()
            system.generate_all([Ask(asked, count, bench.seed)])
            spent = time.perf_counter() - began
            rows[name] = {"texts": count, "seconds": spent, "seconds_50": spent * TEXTS / count}
        return {"control": str(target.controls), "rows": rows}

    def markdown(self, data: Data) -> str:
        """As `Table`."""
        rows = [["", "seconds for 50 texts", f"times {OURS}", "texts timed"]]
        ours = data["rows"].get(OURS, {}).get("seconds_50")
        for name, row in sorted(data["rows"].items(), key=lambda r: r[1]["seconds_50"]):
            times = f"{row['seconds_50'] / ours:.2g}" if ours else "–"
            rows.append([name, f"{row['seconds_50']:.3g}", times, str(row["texts"])])
        return grid(rows)

    def picture(self, data: Data, path: Path) -> bool:
        """As `Table`: bars on a logarithmic scale."""
        from matplotlib import pyplot as plt

        rows = sorted(data["rows"].items(), key=lambda r: -r[1]["seconds_50"])
        figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
        colours = ["C0" if name in (OURS, ONE_DRAFT) else "0.7" for name, _ in rows]
        axes.barh([n for n, _ in rows], [r["seconds_50"] for _, r in rows], color=colours)
        axes.set_xscale("log")
        axes.set_xlabel("seconds for 50 texts")
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, dpi=150)
        plt.close(figure)
        return True


TABLES = (Speed(),)
