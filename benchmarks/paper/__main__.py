"""A table or figure of the paper by one command.

    export DLM_SHARED=...            # holds data/; DLM_PARSER names the oracle parser
    python -m benchmarks.paper 2 --budget quick --out results --teacher TEACHER
    python -m benchmarks.paper all --budget hour --out results
    python -m benchmarks.paper 2 --out results --systems dlm,FUDGE --tasks semantic
    python -m benchmarks.paper 5-anlg --out results --model BUNDLE --corpus commongen:FOLDER

Writes OUT/table-NAME.json, .md and .png. Every cell (a system on a task) is a file of OUT/cells,
written when it is done: a run that was stopped goes on where it was. What is trained lies in the
work folder, which runs may share. Without --teacher the judge is trained there, too. With --corpus
everything is trained on that corpus in place of E2E, and `all` is the tables of everyday English.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import replace
from datetime import date
from logging import getLogger
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks import command
from benchmarks.baselines.lab import Lab
from benchmarks.paper.budget import BUDGETS
from benchmarks.paper.cells import Bench
from benchmarks.paper.page import section
from benchmarks.paper.tables import tables
from benchmarks.paper.tables.base import Table
from benchmarks.paper.tasks import conditions
from dlm_core.errors import MissingError, UsageError
from dlm_core.files import write_json, write_text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paper", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    known = tables()
    about = "; ".join(f"{name} ({table.title})" for name, table in known.items())
    parser.add_argument("table", choices=[*known, "all"], metavar="TABLE", help=f"{about}; or all")
    parser.add_argument("--budget", choices=BUDGETS, default="quick")
    parser.add_argument("--out", type=Path, required=True, help="folder of results")
    parser.add_argument("--work", type=Path, help="of what is trained; OUT/work-BUDGET if omitted")
    parser.add_argument("--shared", type=Path, default=os.environ.get("DLM_SHARED"))
    parser.add_argument("--teacher", type=Path, help="the judge, by benchmarks/teacher.py")
    parser.add_argument("--model", default="e2e", help="the Diffusion-LM of our rows")
    parser.add_argument(
        "--corpus", default="", metavar="READER:PATH",
        help="what the model was trained on; E2E if omitted",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the texts")
    parser.add_argument("--systems", type=_names, default=(), help="only these rows")
    parser.add_argument("--tasks", type=_names, default=(), help="only these columns")
    parser.add_argument("--targets", type=int, help="of each task, for the budget's")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.set_defaults(run=run)
    return parser


def _asked(options: argparse.Namespace) -> dict[str, Table]:
    """The tables to make.

    Raises:
        UsageError: one that is asked for wants a model of everyday English.
    """
    known = tables()
    if options.table == "all":
        return {name: t for name, t in known.items() if t.everyday == bool(options.corpus)}
    table = known[options.table]
    if table.everyday and not options.corpus:
        raise UsageError(
            f"table '{table.name}' is of everyday English, and E2E is of restaurants",
            "--model BUNDLE --corpus READER:PATH, the corpus that it was trained on",
        )
    return {table.name: table}


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def run(options: argparse.Namespace) -> None:
    """Make the tables that are asked for."""
    if options.shared is None:
        raise MissingError("where the data lies is not known", "--shared DIR, or set DLM_SHARED")
    budget = BUDGETS[options.budget]
    if options.targets is not None:
        budget = replace(budget, targets=options.targets)
    training = budget.training
    work = options.work or options.out / f"work-{budget.name}"
    work.mkdir(parents=True, exist_ok=True)
    lab = Lab(
        options.shared, work, conditions(), training, options.model, options.teacher,
        say=tqdm.write if sys.stderr.isatty() else command.say, corpus=options.corpus,
    )  # fmt: skip
    bench = Bench(lab, budget, options.out, options.seed, options.systems, options.tasks)
    reader, _, path = options.corpus.partition(":")
    names = f" --model {Path(options.model).name} --corpus {reader}:{Path(path).name}"
    given = names if path else ""
    given += "" if options.targets is None else f" --targets {options.targets}"
    made = {
        "command": f"python -m benchmarks.paper {{}} --budget {budget.name}{given}",
        "budget": budget.name, "seed": options.seed, "model": lab.model.info.sha256[:8],
        "date": date.today().isoformat(), "training": training.said(),
        "machine": f"{platform.machine()}, {options.threads} threads, torch {torch.__version__}",
    }  # fmt: skip
    for name, table in _asked(options).items():
        told = {**made, "command": made["command"].format(name)}
        data = {"table": name, "made": told, **table.make(bench)}
        stem = options.out / f"table-{name}"
        write_json(stem.with_suffix(".json"), data, 1)
        drawn = table.picture(data, stem.with_suffix(".png"))
        text = section(table, data, f"{stem.name}.png" if drawn else "")
        write_text(stem.with_suffix(".md"), text + "\n")
        print(json.dumps({"table": name, "written": str(stem.with_suffix(".md"))}))


def main() -> int:
    """Run; the exit code is dlm's."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    return command.run(_parser())


if __name__ == "__main__":
    getLogger("dlm").setLevel("ERROR")  # it tells of each word of a context that a model lacks
    sys.exit(main())
