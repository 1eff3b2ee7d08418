"""A cell: one system on the targets of one task, its texts and scores, kept as JSON when done."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import Any

from tqdm import tqdm

from benchmarks.baselines import systems
from benchmarks.baselines.base import System
from benchmarks.baselines.lab import Lab
from benchmarks.paper.budget import Budget
from benchmarks.paper.metrics import metrics
from benchmarks.paper.tasks import tasks
from benchmarks.paper.tasks.base import Target, Task
from dlm_core.errors import UsageError, did_you_mean
from dlm_core.files import write_text

APART = 1000
"""Seeds of one target begin so far behind those of the last: a further text changes no other."""


@dataclass(frozen=True)
class Cell:
    """What one system did on one task.

    Attributes:
        targets: the controls asked for.
        texts: of each target.
        scores: measure -> target -> numbers.
        seconds: of writing, judging left out.
    """

    system: str
    task: str
    targets: list[str]
    texts: list[list[str]]
    scores: dict[str, list[list[float]]]
    seconds: float
    settings: dict[str, Any]

    def means(self, measure: str) -> dict[str, float]:
        """The mean of each target."""
        return {
            target: fmean(group)
            for target, group in zip(self.targets, self.scores[measure], strict=True)
        }


@dataclass
class Bench:
    """What tables ask for cells.

    Attributes:
        lab: data and what is trained.
        budget: how much is made.
        out: the folder of results; cells lie in out/cells.
        seed: of the texts.
        only_systems, only_tasks: leave out what is not among them, if given.
    """

    lab: Lab
    budget: Budget
    out: Path
    seed: int = 0
    only_systems: Sequence[str] = ()
    only_tasks: Sequence[str] = ()
    _systems: dict[str, System] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what, asked, known in (
            ("system", self.only_systems, systems()),
            ("task", self.only_tasks, self.tasks),
        ):
            for name in asked:
                if name not in known:
                    raise UsageError(f"no {what} '{name}'", did_you_mean(name, known))

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """Every task."""
        return tasks()

    def system(self, name: str) -> System:
        """A system by its name in the tables, made once.

        Raises:
            UsageError: there is none of this name.
        """
        made = systems()
        if name not in made:
            raise UsageError(f"no system '{name}'", did_you_mean(name, made))
        if name not in self._systems:
            self._systems[name] = made[name](self.lab)
        return self._systems[name]

    def cells(self, names: Iterable[str], of: Iterable[str]) -> dict[tuple[str, str], Cell]:
        """The cells of these systems and tasks that there can be, by (task, system)."""
        rows = [n for n in names if not self.only_systems or n in self.only_systems]
        columns = [t for t in of if not self.only_tasks or t in self.only_tasks]
        pairs = [(task, name) for task in columns for name in rows]
        found = {}
        with tqdm(pairs, unit="cell", mininterval=0) as bar:
            for task, name in bar:
                bar.set_description(f"{task} · {name}")
                if (cell := self.cell(name, self.tasks[task])) is not None:
                    found[task, name] = cell
        return found

    def cell(self, name: str, task: Task) -> Cell | None:
        """The cell, read if it is done already; None if the system cannot do the task."""
        system, budget = self.system(name), self.budget
        targets, count = task.targets(self.lab, budget.targets), budget.samples
        if system.slow:
            targets, count = targets[: budget.slow_targets], budget.slow_samples
        if not all(system.does(target.controls) for target in targets):
            return None
        settings = {
            "budget": budget.name, "samples": count, "seed": self.seed,
            "targets": [t.name for t in targets], "model": self.lab.model.info.sha256[:8],
            "training": asdict(self.lab.training),
        }  # fmt: skip
        if self.lab.corpus:
            settings["corpus"] = self.lab.corpus
        path = self.out / "cells" / f"{task.name}.{_slug(name)}.json"
        if (kept := _read(path)) is not None and kept.settings == settings:
            if self._measure(kept, targets):  # a metric came since
                _write(path, kept)
            return kept
        system.prepare([t.controls for t in targets])
        began = time.perf_counter()
        asks = [
            task.asks(self.lab, t, count, self.seed + APART * t.place, system.sized)
            for t in targets
        ]
        made = iter(system.generate_all(list(chain.from_iterable(asks))))
        groups = [[text for _ in of_one for text in next(made)] for of_one in asks]
        seconds = time.perf_counter() - began
        scores = task.judge(targets, groups)
        cell = Cell(name, task.name, settings["targets"], groups, scores, seconds, settings)
        self._measure(cell, targets)
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, cell)
        return cell

    def _measure(self, cell: Cell, targets: Sequence[Target]) -> bool:
        """Add the metrics that the cell lacks; whether there were any."""
        found = {
            name: measure(self.lab, targets, cell.texts)
            for name, measure in metrics().items()
            if name not in cell.scores
        }
        cell.scores.update({name: scores for name, scores in found.items() if scores is not None})
        return any(scores is not None for scores in found.values())


def _read(path: Path) -> Cell | None:
    """A finished cell; None if there is none, or it is damaged."""
    try:
        return Cell(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _write(path: Path, cell: Cell) -> None:
    write_text(path, json.dumps(asdict(cell), ensure_ascii=False, indent=1) + "\n")


def _slug(name: str) -> str:
    return re.sub(r"\W+", "-", name.lower()).strip("-")
