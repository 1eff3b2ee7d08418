"""Seconds a text against the texts of a batch and against their words, as ratios within one run."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.paper.cells import Bench
from benchmarks.paper.tables.base import OURS, Data, Table, grid
from dlm_controls import Length
from dlm_core.control.compose import Controls
from dlm_core.generation.generate import generate

BATCHES, WORDS = (1, 4, 16, 50, 128), (10, 20, 40, 60)
BATCH, LENGTH = 16, 20
"""One axis is held here while the other goes; the text of both is what others are compared with."""
FEWEST = 4
"""Texts timed at least, one batch after another."""


class Time(Table):
    """See the module docstring."""

    name, title = "time", "Seconds a text against batch and length"
    note = (
        f"1 is the second of {OURS} under a length for a text of {LENGTH} words in a batch of "
        f"{BATCH}. Under a length alone the denoiser writes; under a fact beside it the writer, "
        "four drafts a text. Batches at "
        f"{LENGTH} words, words in batches of {BATCH}; ratios within one run, which "
        "compare where seconds do not."
    )

    def make(self, bench: Bench) -> Data:
        """As `Table`: timed anew each time."""
        fact = bench.tasks["semantic"].targets(bench.lab, 1)[0].controls
        asked = {"a length": Controls(), "a fact and a length": fact}
        lines: list[Data] = []
        for label, rest in asked.items():
            _seconds(bench, rest + Length(LENGTH), FEWEST)  # read what is read on first use
            points = {}
            for axis in [*((b, LENGTH) for b in BATCHES), *((BATCH, w) for w in WORDS)]:
                if axis not in points:
                    batch, words = axis
                    bench.lab.say(f"{label}: {words} words, {batch} a batch")
                    points[axis] = _seconds(bench, rest + Length(words), batch)
            lines.append(
                {
                    "label": label,
                    "batch": [{"x": b, "seconds": points[b, LENGTH]} for b in BATCHES],
                    "words": [{"x": w, "seconds": points[BATCH, w]} for w in WORDS],
                }
            )
        return {"control": str(fact), "lines": lines}

    def markdown(self, data: Data) -> str:
        """As `Table`."""
        unit = _unit(data)
        head = ["", *(f"{b} a batch" for b in BATCHES), *(f"{w} words" for w in WORDS)]
        rows = [head]
        for line in data["lines"]:
            points = [*line["batch"], *line["words"]]
            rows.append([line["label"], *(f"{p['seconds'] / unit:.2g}" for p in points)])
        return f"{grid(rows)}\n\n1 is {unit:.2g} seconds."

    def picture(self, data: Data, path: Path) -> bool:
        """As `Table`: batch left, words right."""
        from matplotlib import pyplot as plt

        unit = _unit(data)
        figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
        titles = {"batch": f"texts a batch ({LENGTH} words)", "words": f"words ({BATCH} a batch)"}
        for axes, (axis, label) in zip(panels, titles.items(), strict=True):
            for line in data["lines"]:
                x = [p["x"] for p in line[axis]]
                axes.plot(x, [p["seconds"] / unit for p in line[axis]], "o-", label=line["label"])
            axes.set_xscale("log", base=2)
            axes.set_yscale("log", base=2)
            axes.set_xticks(x, [str(v) for v in x])
            axes.yaxis.set_major_formatter(lambda v, _: f"{v:g}")
            axes.minorticks_off()
            axes.set_xlabel(label)
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylabel("time a text, as a ratio")
        panels[0].legend(frameon=False)
        figure.savefig(path, dpi=150)
        plt.close(figure)
        return True


def _seconds(bench: Bench, controls: Controls, batch: int) -> float:
    """Seconds a text."""
    count = max(batch, FEWEST)
    began = time.perf_counter()
    generate(bench.lab.model, controls, count, bench.seed, batch_size=batch, verify=False)
    return (time.perf_counter() - began) / count


def _unit(data: Data) -> float:
    """Seconds of what the others are compared with."""
    return next(p["seconds"] for p in data["lines"][0]["batch"] if p["x"] == BATCH)  # type: ignore[no-any-return]


TABLES = (Time(),)
