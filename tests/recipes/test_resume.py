"""A recipe's run, killed in each of its stages: what goes on makes the same bundle."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import dlm_core as dlm
from dlm_core.training.told import Told

ROOT = Path(__file__).parents[2]
CHILD = """
import os, sys
import torch
import dlm_core as dlm
from dlm_core.training.told import Told

torch.set_num_threads(1)
recipe, out, resume, wanted, at, number = sys.argv[1:]
now = ""

def kill(stage, done):
    if stage == wanted and done >= int(at):
        os.kill(os.getpid(), int(number))

def begins(number, count, stage):
    global now
    now = stage
    kill(stage, 0)

told = Told(lambda done, steps, figures: kill(now, done), print, print)
dlm.train_recipe(recipe, out, resume=bool(int(resume)), told=told, begins=begins)
"""
NOT_THE_SAME = ("recipe.json", "README.md", "training.json", "metrics.jsonl", "curves.png")
"""They tell times, and how often a run was begun."""


def digests(out: Path) -> dict[str, str]:
    files = [p for p in sorted(out.rglob("*")) if p.is_file() and p.name not in NOT_THE_SAME]
    return {
        p.relative_to(out).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in files
        if p.name != "checkpoint"
    }


def start(
    recipe: Path, out: Path, resume: bool, stage: str, at: int, number: int
) -> tuple[int, str]:
    """Code and output of a run that sends itself a signal in a stage."""
    words = [str(recipe), str(out), str(int(resume)), stage, str(at), str(number)]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *words], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_killed_in_each_stage_it_makes_the_same_bundle(
    recipe: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    stages = [("lm", 6), ("teacher", 5), ("controls.price", 3), ("writer", 5)]
    stages += [("temperature", 1), ("evaluate", 1)]
    saved = {"teacher": 4, "controls.price": 4, "temperature": 3}  # of the stage before
    told = ""
    for number, (stage, at) in enumerate([*stages, ("card", 0)]):
        code, told = start(recipe, out, number > 0, stage, at, signal.SIGKILL)
        assert code == -signal.SIGKILL, told
        before = [name for name, _ in stages[:number]]
        assert re.findall(r"^(\S+): done before", told, re.M) == before[: max(0, number - 1)]
        if stage in saved:
            assert f"going on from step {saved[stage]}\n" in told
    dlm.train_recipe(recipe, out, resume=True)
    assert digests(out) == digests(whole)
    times = re.compile(r"\d+ min \d+ s|--out \w+")
    cards = [times.sub("", (place / "README.md").read_text("utf-8")) for place in (out, whole)]
    assert cards[0] == cards[1]


def test_a_signal_leaves_a_checkpoint_of_that_step(recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, told = start(recipe, out, False, "lm", 7, signal.SIGTERM)
    assert code != 0 and "KeyboardInterrupt" in told
    lines: list[str] = []
    dlm.train_recipe(recipe, out, resume=True, told=Told(line=lines.append))
    assert "going on from step 7" in lines


def again(recipe: Path, run: Path) -> list[str]:
    """What is told of stages when a run is gone on with."""
    lines: list[str] = []
    dlm.train_recipe(recipe, run, resume=True, told=Told(line=lines.append))
    return [line for line in lines if "done again" in line or "done before" in line]


def test_what_changed_is_done_again_and_said(recipe: Path, run: Path) -> None:
    text = recipe.read_text()
    recipe.write_text(text.replace("max_steps = 8", "max_steps = 6"))
    assert again(recipe, run) == [
        "lm: done before",
        "teacher: done before",
        "controls.price: done before",
        "writer is done again: 'max_steps' is 6 now, it was 8",
        "temperature: done before",
        "evaluate is done again: writer changed",
        "card is done again: writer changed",
    ]
    recipe.write_text(text.replace("max_steps = 8", "max_steps = 6").replace('"tiny"', '"small"'))
    told = again(recipe, run)
    assert told[:-1] == [f"{stage}: done before" for stage in records(run)][1:-1]
    assert told[-1] == 'card is done again: \'card.name\' is "small" now, it was "tiny"'
    assert "# small" in (run / "README.md").read_text("utf-8")


def test_other_texts_and_damaged_files_are_noticed(recipe: Path, run: Path) -> None:
    weights = run / "controls/classify/price/head.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    told = again(recipe, run)
    assert told[2].startswith("controls.price is done again: controls/classify/price/head")
    rest = [f"{stage}: done before" for stage in ("temperature", "evaluate", "card")]
    assert told[4:] == rest, "the head is as it was"
    assert weights.read_bytes() == whole
    corpus = recipe.with_name("tiny.jsonl")
    corpus.write_text(corpus.read_text().replace("Zizzi", "Fitzbillies"))
    (run / "controls" / "classify" / "old").mkdir()
    told = again(recipe, run)
    assert told[0] == "lm is done again: texts changed"
    assert [line.partition(" is done again: ")[2] for line in told[1:]] == ["texts changed"] * 5 + [
        "lm changed"
    ]
    assert "Fitzbillies" in dlm.load(run).vocab
    assert not (run / "controls" / "classify" / "old").exists(), "of the model that was there"


def records(run: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((run / "recipe.json").read_text())["stages"]
    return found
