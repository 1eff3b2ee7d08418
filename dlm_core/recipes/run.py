"""Runs the stages of a recipe, each once: what is done and still fits is not done again.

A stage is done again where its settings, its texts, a stage that it needs, or its own files changed
since; what was begun goes on from its checkpoint where it keeps one (lm, teacher, writer; the texts
that `tree` parsed; figures that were measured), else from its start, to the same end.
"""

from __future__ import annotations

import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from dlm_core.errors import UsageError, did_you_mean
from dlm_core.recipes.data import read_all
from dlm_core.recipes.job import Job
from dlm_core.recipes.recipe import Recipe, read_recipe
from dlm_core.recipes.records import RECORDS, Record, Records, digest_of
from dlm_core.recipes.stages import CANNOT, Stage, check_heads, check_packages, stages_of
from dlm_core.training.beginning import check_beginning
from dlm_core.training.told import Told

_OF_RUNS = ("checkpoint", "metrics.jsonl", "curves.png", "training.json")
"""Files that tell of a run: not the same twice."""
Begins = Callable[[int, int, str], None]
"""Called with number, count and name of a stage before its work."""


@dataclass(frozen=True)
class Some:
    """Which stages are done: up to one, or one alone."""

    until: str | None = None
    only: str | None = None

    def check_names(self, job: Job) -> None:
        """They must be of the recipe's stages.

        Raises:
            UsageError: one is not.
        """
        names = [stage.name for stage in stages_of(job)]
        for option, name in (("--until", self.until), ("--only", self.only)):
            if name is not None and name not in names:
                raise UsageError(f"option '{option}': no stage '{name}'", did_you_mean(name, names))


def open_records(
    out: Path, some: Some | None = None, resume: bool = False, force: bool = False
) -> Records:
    """What is done already in a folder: of a run to go on with, or all but the stage to redo.

    Raises:
        UsageError: it holds a run, and nothing is said of that.
        MissingError: it holds none to go on with.
    """
    again = some.only if force and some is not None else None
    there = "a run of a recipe" if (out / RECORDS).exists() else None
    check_beginning(out, there, resume, force)
    if resume or again is not None:
        records = Records.read(out)
        records.stages.pop(again or "", None)
        return records
    return Records(out, {})


def prepare(recipe: Recipe, records: Records, device: str = "cpu", told: Told | None = None) -> Job:
    """Read the texts and look for oracles and packages, before anything is trained.

    Raises:
        UsageError: a corpus cannot be read, or teaches a head of the recipe nothing.
        MissingError: a file, a package or an oracle is missing.
    """
    job = Job(recipe, {}, records, device, told or Told())
    check_packages(job)
    job.recipe, job.texts = read_all(recipe, job.told)
    check_heads(job)
    return job


def train_recipe(
    recipe: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    resume: bool = False,
    force: bool = False,
    device: str = "cpu",
    told: Told | None = None,
    begins: Begins = lambda number, count, stage: None,
) -> dict[str, Record]:
    """`dlm train all` from Python: everything a recipe asks for, into a folder.

    Args:
        recipe: its file.
        out: folder of the bundle, with the teacher, figures and card.
        resume: go on with the run in it.
        force: do everything anew, whatever it holds.
        device: where to compute.
        told: is called on the way.
        begins: is called with number, count and name of each stage.

    Raises:
        UsageError, MissingError: see `open_records`, `read_recipe` and `prepare`.
        KeyboardInterrupt: Ctrl-C or SIGTERM; `resume` goes on.
    """
    records = open_records(Path(out), resume=resume, force=force)
    return run_recipe(prepare(read_recipe(Path(recipe)), records, device, told), begins=begins)


def run_recipe(
    job: Job, some: Some | None = None, begins: Begins = lambda number, count, stage: None
) -> dict[str, Record]:
    """Do the stages; returns what is known of each.

    Args:
        job: from `prepare`; its `records` say what is done already.
        some: which of them; all if omitted.
        begins: is called before each.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; what was done is written down.
        DLMError: of a stage; those before it are done.
    """
    some = some or Some()
    stages = stages_of(job)
    some.check_names(job)
    known, names = job.records.stages, [stage.name for stage in stages]
    job.records.stages = {name: known[name] for name in names if name in known}
    job.out.mkdir(parents=True, exist_ok=True)
    with _terminating():
        for number, stage in enumerate(stages, 1):
            if some.only in (None, stage.name) or stage.name == "data":
                begins(number, len(stages), stage.name)
                _do(job, stage)
            if stage.name == some.until:
                break
    return job.records.stages


def _do(job: Job, stage: Stage) -> None:
    """Do a stage, unless it is done."""
    records, told = job.records, job.told
    settings, inputs = dict(stage.settings), _inputs(job, stage)
    record = records.stages.get(stage.name)
    if record is not None and stage.writes:
        why = record.changed(settings, inputs, job.out)
        if why is None and record.done:
            told.line(f"{stage.name}: done before{_because(record.left_out)}")
            return
        if why is not None:
            told.line(f"{stage.name} is done again: {why}")
            record = None
    resume = record is not None
    if record is None:
        record = records.stages[stage.name] = Record(settings, inputs)
        records.write()
    began = time.monotonic()

    def step(done: int, steps: int, figures: str) -> None:
        record.steps = done
        told.step(done, steps, figures)

    job.told = replace(told, step=step)
    try:
        record.figures = stage.run(job, resume)
        record.files = _files(job.out, stage.writes)
    except CANNOT as error:
        if stage.named:
            raise
        record.left_out = error.message
        told.warn(f"{stage.name} is left out: {error.message}")
    finally:
        job.told = told
        record.seconds += time.monotonic() - began
        record.machine = machine(job.device)
        records.write()


def _because(reason: str) -> str:
    return f", left out: {reason}" if reason else ""


def _inputs(job: Job, stage: Stage) -> dict[str, str]:
    """Digests of what the stage is made of.

    Raises:
        UsageError: a stage that it needs is not done.
    """
    found = {}
    for need in stage.needs:
        if need == "texts" or need.startswith("texts of "):
            found[need] = job.texts[need.removeprefix("texts").removeprefix(" of ")].digest
            continue
        if not job.records.fits(need):
            raise UsageError(
                f"stage '{stage.name}' needs '{need}', which is not done, or of another model",
                f"--only {need}, first",
            )
        found[need] = job.records.stages[need].digest
    return found


def _files(out: Path, writes: Sequence[str]) -> dict[str, str]:
    """Digests of what a stage wrote, but for what tells of its run."""
    paths = [path for name in writes for path in (out / name, *sorted((out / name).rglob("*")))]
    return {
        path.relative_to(out).as_posix(): digest_of(path)
        for path in paths
        if path.is_file() and path.name not in _OF_RUNS
    }


def machine(device: str) -> str:
    """What computes, for the model card."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    cores = torch.get_num_threads()
    return f"{cores} CPU core{'s' if cores != 1 else ''} ({platform.machine()})"


@contextmanager
def _terminating() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
