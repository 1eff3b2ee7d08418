"""`dlm train all` as a user types it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "recipes"
STOPS = """
import os, signal
from dlm_core import ControlSpec, hookimpl


class Held(ControlSpec):
    '''Trained by whoever presses Ctrl-C.'''

    kind = "held"

    @classmethod
    def train(cls, model, examples, out, on_step=None, press=True, **options):
        if press:
            os.kill(os.getpid(), signal.SIGTERM)
        (out / "config.json").parent.mkdir(parents=True)
        (out / "config.json").write_text("{}")
        return {"held": 1.0}


class Broken(ControlSpec):
    '''Cannot be trained.'''

    kind = "broken"

    @classmethod
    def train(cls, model, examples, out, **options):
        raise ValueError("no mood")


@hookimpl
def dlm_register_controls(register):
    register(Held)
    register(Broken)
"""


@pytest.fixture
def recipe(tmp_path):
    for name in ("tiny.toml", "tiny.jsonl"):
        shutil.copyfile(EXAMPLES / name, tmp_path / name)
    return tmp_path / "tiny.toml"


def stages(run):
    return re.findall(r"^stage (\d+) of (\d+): (\S+)$", run.err, re.M)


def test_a_plan_writes_nothing(run_cli, recipe, tmp_path):
    run = run_cli("train", "all", recipe, "--out", tmp_path / "out", "--dry-run", "--device", "cpu")
    assert run.code == 0, run.err
    rows = [re.split(r"  +", line.strip()) for line in run.lines]
    names = ["data", "lm", "teacher", "controls.price", "writer"]
    names += ["temperature", "evaluate", "card"]
    assert [row[1] for row in rows[1:-1]] == names
    steps = {row[1]: row[2] for row in rows[1:-1]}
    assert steps["lm"] == "12" and steps["writer"] == "8" and steps["controls.price"] == "8"
    assert all(row[3].startswith("about ") for row in rows[1:-1] if row[1] not in ("data", "card"))
    assert not (tmp_path / "out").exists()


def test_stages_one_by_one(run_cli, recipe, tmp_path):
    out = tmp_path / "out"
    train = ("train", "all", recipe, "--out", out, "--device", "cpu")
    assert run_cli(*train, "--resume").code == 3
    run = run_cli(*train, "--until", "lm")
    assert run.code == 0 and stages(run) == [("1", "8", "data"), ("2", "8", "lm")], run.err
    run = run_cli(*train)
    assert run.code == 2 and "holds a run of a recipe" in run.err and "--resume" in run.err
    assert run_cli(*train, "--resume", "--force").code == 2
    run = run_cli(*train, "--resume", "--only", "evaluate")
    assert run.code == 2 and "'evaluate' needs 'teacher', which is not done" in run.err
    run = run_cli(*train, "--resume", "--only", "controls.prize")
    assert run.code == 2 and "did you mean 'controls.price'?" in run.err
    run = run_cli(*train, "--resume", "--only", "controls.price")
    assert run.code == 0 and [name for *_, name in stages(run)] == ["data", "controls.price"]
    run = run_cli(*train, "--resume", "--only", "controls.price")
    assert run.code == 0 and "controls.price: done before" in run.err
    run = run_cli(*train, "--force", "--only", "controls.price")
    assert run.code == 0 and "done before" not in run.err
    recipe.write_text(recipe.read_text().replace("max_steps = 12", "max_steps = 11"))
    run = run_cli(*train, "--resume", "--only", "lm")
    assert run.code == 0 and "lm is done again: 'max_steps' is 11 now, it was 12" in run.err
    run = run_cli(*train, "--resume", "--only", "card")
    assert run.code == 2 and "which is not done, or of another model" in run.err
    assert not (out / "controls" / "classify").exists(), "heads of the model that was"
    assert run_cli(*train, "--resume", "--only", "controls.price").code == 0
    run = run_cli("generate", "-m", out, "-c", "classify:price=cheap", "-n", 1, "--steps", 2)
    assert run.code == 0 and len(run.lines) == 1


def test_a_plugins_head_is_trained_and_ctrl_c_ends_with_130(run_cli, recipe, tmp_path):
    """SIGTERM too; a stage without a checkpoint begins anew, those before it do not."""
    recipe.with_name("held.py").write_text(STOPS)
    left_out = ("teacher", "writer", "evaluate")
    text = recipe.read_text().replace("[data]", '[data]\nplugin = "held.py"')
    tables = re.split(r"\n(?=\[)", text)
    tables = [t for t in tables if t.split("]")[0].strip("[") not in left_out]
    recipe.write_text("".join(f"{name} = false\n" for name in left_out) + "\n".join(tables))
    train = ("train", "all", recipe, "--out", tmp_path / "out", "--device", "cpu")
    run = run_cli(*train)
    assert run.code == 130 and "stopped; continue with --resume" in run.err, run.err
    told = [name for *_, name in stages(run)]
    assert told == ["data", "lm", "controls.price", "controls.broken", "controls.held"]
    assert "warning: controls.broken is left out: " in run.err, "the recipe does not name it"
    recipe.write_text(recipe.read_text() + "\n[controls.held]\npress = false\n")
    run = run_cli(*train, "--resume")
    assert run.code == 0 and "lm: done before" in run.err, run.err
    assert "controls.broken: done before, left out: control 'broken'" in run.err
    assert "controls.held is done again: 'press' is false now, it was not set" in run.err
    kept = json.loads((tmp_path / "out" / "recipe.json").read_text())["stages"]
    assert kept["controls.held"]["figures"] == {"held": 1.0}
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "## Figures" not in card and "- `broken` is not there: control 'broken'" in card
