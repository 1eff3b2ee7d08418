"""`python -m benchmarks.paper` as a whole: runs that repeat, and files dropped into its rooms."""

from __future__ import annotations

import gzip
import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.baselines.lab import Training
from benchmarks.paper import __main__ as command
from benchmarks.paper.budget import Budget

ROOT = Path(__file__).resolve().parents[2]
TINY = Training(base_steps=2, layers=1, width=16, tune_steps=2, discriminator_steps=2)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A corpus of one text, for a judge that knows its words."""
    folder = tmp_path / "data" / "e2e"
    folder.mkdir(parents=True)
    rows = b"mr,ref\n" + b"name[The Mill],The Mill is a cheap pub near Burger King .\n" * 12
    for split in ("train", "valid"):
        (folder / f"{split}.csv.gz").write_bytes(gzip.compress(rows))
    return tmp_path


def run(
    monkeypatch: pytest.MonkeyPatch, data: Path, out: str, samples: int, *argv: str, name: str = "2"
) -> dict[str, Any]:
    """The JSON of a table."""
    budget = Budget("quick", 1, samples, 1, 1, 1, 1, 3, {"hidden": 16, "layers": 1}, TINY)
    monkeypatch.setattr(command, "BUDGETS", {"quick": budget})
    words = ["paper", name, "--shared", data, "--out", data / out, "--work", data / "work", *argv]
    monkeypatch.setattr("sys.argv", [str(word) for word in words])
    assert command.main() == 0
    found: dict[str, Any] = json.loads((data / out / f"table-{name}.json").read_text("utf-8"))
    return found


def untimed(data: Any) -> Any:
    """Without what a clock gave."""
    if isinstance(data, list):
        return [untimed(one) for one in data]
    if isinstance(data, dict):
        timed = ("seconds", "seconds_a_text", "date")
        return {key: untimed(value) for key, value in data.items() if key not in timed}
    return data


def cells(folder: Path) -> dict[str, Any]:
    return {path.name: json.loads(path.read_text("utf-8")) for path in folder.glob("cells/*.json")}


def test_two_runs_of_one_seed_are_identical_and_a_further_sample_changes_none(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("--systems", "dlm,FT-sample", "--tasks", "length")
    first, second = (run(monkeypatch, data, out, 1, *asked) for out in ("one", "two"))
    assert set(first["rows"]) == {"dlm", "FT-sample"}
    assert untimed(first) == untimed(second)
    assert untimed(cells(data / "one")) == untimed(cells(data / "two"))
    run(monkeypatch, data, "more", 2, *asked)
    for name, cell in cells(data / "more").items():
        assert [group[:1] for group in cell["texts"]] == cells(data / "one")[name]["texts"]
    run(monkeypatch, data, "other", 1, *asked, "--seed", "5")
    for name, cell in cells(data / "other").items():
        assert cell["texts"] != cells(data / "one")[name]["texts"]


def test_table_7_puts_the_bound_beside_the_exact_figure(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run(monkeypatch, data, "out", 1, name="7")
    exact, one_hot, bundle = (row["nats"]["value"] for row in found["rows"].values())
    assert found["gap"]["value"] == pytest.approx(one_hot - exact)
    assert one_hot == pytest.approx(sum(found["parts"].values()))
    assert bundle > 0 and found["rows"]["GPT-2, exact"]["nats"]["targets"] == 12
    assert [p["step"] for p in found["curve"]] == [1, 3]
    learned = found["schedule"]["learned"]
    assert learned == sorted(learned) and learned[0] == pytest.approx(-4)
    again = run(monkeypatch, data, "out", 1, name="7")  # the kept model, not trained again
    assert untimed(again) == untimed(found)
    assert "| GPT-2, exact |" in (data / "out" / "table-7.md").read_text("utf-8")


METRIC = """
def pubs(lab, targets, groups):
    return [[float(text.split().count("pub")) for text in group] for group in groups]

METRICS, JOINS = {"pubs": pubs}, ("2",)
"""
CONTROL = """
from benchmarks.baselines.base import Whole
from benchmarks.paper.tasks.base import Target, Task, each
from dlm_core import ControlSpec, Verdict, hookimpl
from dlm_core.control.compose import as_controls

class Without(ControlSpec):
    \"\"\"A word that must not appear.\"\"\"
    kind, positional, examples = "without", ("word",), ("without:cheap",)
    word: str

    def build(self, context):
        k = context.vocab.id(self.word)
        return context.control(
            lambda s: ((1 - 0.999999 * s.token_log_probs[..., k].exp()).log() * s.mask).sum(-1),
            multilinear=True,
        )

    def verify(self, text):
        return Verdict(self.word not in text.split())

@hookimpl
def dlm_register_controls(register):
    register(Without)

class WithoutTask(Task):
    name, title, measures = "without", "Without", {"lacks": "lacks the word"}

    def all_targets(self, lab):
        return [Target(as_controls(Without(word="cheap")), "")]

    def judge(self, targets, groups):
        spec = targets[0].controls.terms[0].spec
        return each(targets, groups, lambda t, x: {"lacks": float(spec.verify(x).satisfied)})

class Lacking(Whole):
    kind = "without"

    def read(self, lab, texts):
        return [tuple(Without(word=w) for w in ("French", "Aromi") if w not in t) for t in texts]

    def codes(self, spec):
        return [f"without:{spec.word}"]

TASKS, CONDITION, JOINS = (WithoutTask(),), Lacking(), ("2",)
"""


def test_one_file_adds_a_system_a_control_or_a_metric_to_a_table(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "results.md").read_text("utf-8")
    system = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert system is not None
    dropped = {"baselines": system[1], "paper.metrics": METRIC, "paper.tasks": CONTROL}
    asked = ("--systems", "dlm,FT-sample,parrot", "--tasks", "without,length")
    for room, source in dropped.items():
        (data / room).mkdir()
        (data / room / "dropped.py").write_text(source, "utf-8")
        package = importlib.import_module(f"benchmarks.{room}")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(data / room)])
    monkeypatch.setenv("DLM_PLUGINS", str(data / "paper.tasks" / "dropped.py"))
    found = run(monkeypatch, data, "out", 2, *asked)
    for room in dropped:
        sys.modules.pop(f"benchmarks.{room}.dropped")

    assert set(found["rows"]) == {"dlm", "FT-sample", "parrot"}
    assert list(found["tasks"]) == ["length", "without"]
    rows = found["rows"]
    assert rows["dlm"]["without"]["lacks"]["value"] == 1
    assert rows["FT-sample"].keys() == {"length", "without"} and rows["parrot"].keys() == {"length"}
    texts = cells(data / "out")["without.dlm.json"]["texts"][0]
    pubs = sum(text.split().count("pub") for text in texts) / len(texts)
    assert rows["dlm"]["without"]["pubs"]["value"] == pubs
    page = (data / "out" / "table-2.md").read_text("utf-8")
    head = page[page.index("\n|") :].splitlines()[1]
    assert head.endswith("| Without: lacks the word ↑ | lm ↓ | pubs |")
    assert "| parrot |" in page and len({line.count("|") for line in page.splitlines()}) == 2


def test_a_metric_that_came_since_is_added_to_a_finished_cell(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("--systems", "FT-sample", "--tasks", "length")
    run(monkeypatch, data, "out", 1, *asked)
    before = cells(data / "out")["length.ft-sample.json"]
    real = importlib.import_module("benchmarks.paper.metrics").metrics
    words = {"words": lambda lab, targets, groups: [[float(len(g[0].split()))] for g in groups]}
    monkeypatch.setattr("benchmarks.paper.cells.metrics", lambda: real() | words)
    run(monkeypatch, data, "out", 1, *asked)
    after = cells(data / "out")["length.ft-sample.json"]
    assert after["scores"].pop("words") == [[float(len(before["texts"][0][0].split()))]]
    assert after == before
