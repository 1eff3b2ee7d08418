"""Figure 5: the noise schedules, alpha_bar over t."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmarks.paper.cells import Bench
from benchmarks.paper.tables.base import Data, Table, grid
from dlm_core.diffusion.schedule import NoiseSchedule

NAMES = ("sqrt", "cosine", "linear")
POINTS = 101


class Figure5(Table):
    """See the module docstring."""

    name, title = "5-schedules", "Figure 5: noise schedules"

    def make(self, bench: Bench) -> Data:
        """As `Table`."""
        steps = bench.lab.model.info.config.train_steps
        t = torch.linspace(0, 1, POINTS)
        lines = {name: NoiseSchedule(name, steps).alpha_bar(t).tolist() for name in NAMES}
        return {"t": t.tolist(), "alpha_bar": lines}

    def markdown(self, data: Data) -> str:
        """As `Table`."""
        shown = (0, POINTS // 4, POINTS // 2, 3 * POINTS // 4, POINTS - 1)
        rows = [["alpha_bar at t =", *(f"{data['t'][k]:.2f}" for k in shown)]]
        rows += [[n, *(f"{v[k]:.3f}" for k in shown)] for n, v in data["alpha_bar"].items()]
        return grid(rows)

    def picture(self, data: Data, path: Path) -> bool:
        """As `Table`."""
        from matplotlib import pyplot as plt

        figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
        for name, values in data["alpha_bar"].items():
            axes.plot(data["t"], values, label=name)
        axes.set_xlabel("t / T")
        axes.set_ylabel("alpha_bar")
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, dpi=150)
        plt.close(figure)
        return True


TABLES = (Figure5(),)
