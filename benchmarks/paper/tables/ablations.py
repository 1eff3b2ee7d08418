"""Figures 4 and 6: design choices, each a training recipe, by the lm-score of free texts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from tqdm import tqdm

from benchmarks.paper.ablations import trained
from benchmarks.paper.cells import Bench
from benchmarks.paper.tables.base import Data, Table, grid, plain

DIMS = (16, 64)


class Ablation(Table):
    """A line a choice, over the width of word vectors.

    Attributes:
        choices: name in the legend -> settings of the model.
        dims: widths of word vectors.
    """

    note = "lm of free texts (less is better), after so few steps: which is better, not how good."
    choices: ClassVar[Mapping[str, Mapping[str, Any]]]
    dims: ClassVar[tuple[int, ...]] = DIMS

    def make(self, bench: Bench) -> Data:
        """As `Table`."""
        cells = [(choice, d) for choice in self.choices for d in self.dims]
        found: dict[str, list[Data]] = {choice: [] for choice in self.choices}
        for choice, d in tqdm(cells, unit="net", mininterval=0):
            settings = {**self.choices[choice], "embedding_dim": d}
            name = f"{self.name}-{choice}-{d}".replace(" ", "-")
            found[choice].append({"d": d, **trained(bench, name, settings)})
        return {"choices": found, "steps": bench.budget.ablation_steps}

    def markdown(self, data: Data) -> str:
        """As `Table`."""
        rows = [["", *(f"d = {d}: lm ↓" for d in self.dims)]]
        rows += [[c, *(plain(x["lm"]) for x in cells)] for c, cells in data["choices"].items()]
        return f"{grid(rows)}\n\nEach net: {data['steps']} training steps."

    def picture(self, data: Data, path: Path) -> bool:
        """As `Table`."""
        from matplotlib import pyplot as plt

        figure, axes = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
        for choice, cells in data["choices"].items():
            y = [c["lm"]["value"] for c in cells]
            ends = [
                [c["lm"]["value"] - c["lm"]["low"] for c in cells],
                [c["lm"]["high"] - c["lm"]["value"] for c in cells],
            ]
            axes.errorbar(
                [c["d"] for c in cells], y, yerr=ends, marker="o", label=choice, capsize=3
            )
        axes.set_xlabel("width d of word vectors")
        axes.set_ylabel("lm of free texts (nats a word)")
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(self.dims), [str(d) for d in self.dims])
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, dpi=150)
        plt.close(figure)
        return True


class Embeddings(Ablation):
    """§4.1."""

    name, title = "4-embeddings", "Figure 4, left: learned and random word vectors"
    choices: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "learned": {"learned_embedding": True},
        "random": {"learned_embedding": False},
    }


class Parametrisation(Ablation):
    """§4.2."""

    name, title = "4-parametrisation", "Figure 4, right: what the net predicts"
    choices: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "x_0": {"parametrisation": "x_0"},
        "eps": {"parametrisation": "eps"},
    }


class Schedule(Ablation):
    """App. A and H."""

    name, title = "6-schedule", "Figure 6: noise schedules"
    choices: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        name: {"noise_schedule": name} for name in ("sqrt", "cosine", "linear")
    }


TABLES = (Embeddings(), Parametrisation(), Schedule())
