"""The frame of the paper's tables: intervals, cells that are kept, pages, recipes, conditions."""

from __future__ import annotations

import gzip
import json
import math
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
from sacrebleu import corpus_bleu
from scipy.stats import norm

from benchmarks.baselines import systems
from benchmarks.baselines.base import System
from benchmarks.baselines.lab import Lab, Training
from benchmarks.paper.__main__ import main
from benchmarks.paper.ablations import recipe, toml
from benchmarks.paper.budget import BUDGETS
from benchmarks.paper.cells import Bench, Cell
from benchmarks.paper.intervals import difference, mean
from benchmarks.paper.metrics import overlap
from benchmarks.paper.page import rewrite
from benchmarks.paper.tables import tables, timing
from benchmarks.paper.tables.base import against_best
from benchmarks.paper.tables.control import ControlTable
from benchmarks.paper.tables.sentences import Table5
from benchmarks.paper.tasks import conditions, tasks
from benchmarks.paper.tasks.base import Scores, Target, Task, each
from benchmarks.paper.tasks.infill import middle
from dlm_controls import Infill, Length, Pos, Span, Tree
from dlm_controls.tree.bracketing import read_tree
from dlm_core.bundle import Model
from dlm_core.config import TrainConfig
from dlm_core.control.compose import Controls, as_controls
from dlm_core.errors import UsageError
from dlm_core.evaluation.teacher import Teacher


def test_intervals_at_the_ends_are_wilsons() -> None:
    z = norm.ppf(0.975)
    found = mean([1.0] * 20)
    assert (found["value"], found["high"]) == (1.0, 1.0)
    assert found["low"] == pytest.approx(1 / (1 + z * z / 20))
    assert mean([0.0] * 20)["high"] == pytest.approx((z * z / 20) / (1 + z * z / 20))
    assert mean([0.25] * 4) == mean([0.25] * 4, share=False)


def test_intervals_of_many_targets_are_the_normal_ones() -> None:
    values = [math.sin(k) for k in range(400)]
    found = mean(values)
    spread = (sum((v - found["value"]) ** 2 for v in values) / 400) ** 0.5
    assert found["low"] == pytest.approx(found["value"] - 1.96 * spread / 20, abs=0.01)
    assert found["high"] == pytest.approx(found["value"] + 1.96 * spread / 20, abs=0.01)
    ours = [v + 0.5 for v in values]
    paired = difference(ours, values)  # nothing varies in the difference
    assert paired["low"] == pytest.approx(0.5) and paired["high"] == pytest.approx(0.5)


@dataclass
class Counting(System):
    """Writes as many words as its seed and the length say, and counts how often it is asked."""

    extra: int
    asked: list[Controls] = field(default_factory=list)
    kinds: ClassVar[frozenset[str]] = frozenset({"length"})

    def generate(self, controls: Controls, n: int, seed: int) -> list[str]:
        self.asked.append(controls)
        words = controls.terms[0].spec.words  # type: ignore[attr-defined]
        return ["The " * (words - 1 + self.extra + (seed + k) % 2) + "." for k in range(n)]


class Lengths(Task):
    name, title = "toy", "Toy"
    measures: ClassVar[dict[str, str]] = {"exact": "exact"}

    def all_targets(self, lab: Lab) -> list[Target]:
        return [Target(as_controls(Length(n)), "") for n in range(3, 9)]

    def judge(self, targets: Sequence[Target], groups: Sequence[Sequence[str]]) -> Scores:
        def exact(target: Target, text: str) -> dict[str, float]:
            return {"exact": float(bool(target.controls.terms[0].spec.verify(text).satisfied))}

        return each(targets, groups, exact)


@pytest.fixture
def bench(tmp_path: Path, embedded_model: Model, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr("benchmarks.paper.cells.metrics", dict)  # no teacher here
    lab = Lab(tmp_path, tmp_path, conditions())
    lab.__dict__["model"] = embedded_model
    bench = Bench(lab, BUDGETS["quick"], tmp_path / "out")
    bench.tasks["toy"] = Lengths()
    bench._systems.update(dlm=Counting(0), FUDGE=Counting(1))
    return bench


def test_a_finished_cell_is_read_and_another_setting_makes_it_anew(bench: Bench) -> None:
    first = bench.cell("dlm", bench.tasks["toy"])
    assert first is not None and first.scores["exact"] == [[1.0, 0.0, 1.0, 0.0]] * 6
    asked = len(bench._systems["dlm"].asked)  # type: ignore[attr-defined]
    assert bench.cell("dlm", bench.tasks["toy"]) == first
    assert len(bench._systems["dlm"].asked) == asked  # type: ignore[attr-defined]
    (path,) = (bench.out / "cells").iterdir()
    path.write_text(path.read_text()[:100])  # a half-written cell is none
    again = bench.cell("dlm", bench.tasks["toy"])
    assert again is not None and again.texts == first.texts
    assert len(bench._systems["dlm"].asked) == 2 * asked  # type: ignore[attr-defined]
    bench.seed = 1
    other = bench.cell("dlm", bench.tasks["toy"])
    assert other is not None and other.scores["exact"] == [[0.0, 1.0, 0.0, 1.0]] * 6


def test_targets_are_drawn_nested_and_those_looked_at_are_never_asked(bench: Bench) -> None:
    length = bench.tasks["length"]
    whole = length.all_targets(bench.lab)
    every = length.targets(bench.lab, 200)
    assert len(every) == len({t.place for t in every}) == 31 - 10
    assert not {t.place for t in every} & {0, 3, 6, 9, 12, 15, 18, 21, 24, 27}
    assert all(t.controls == whole[t.place].controls for t in every)
    assert every != sorted(every, key=lambda t: t.place)
    for limit in (1, 4, 10, 20):
        assert length.targets(bench.lab, limit) == every[:limit]
    toy = bench.tasks["toy"]  # nobody looked at these
    assert {t.place for t in toy.targets(bench.lab, 200)} == set(range(6))


def test_a_system_of_minutes_is_asked_less_of_the_same_targets(bench: Bench) -> None:
    bench._systems["FUDGE"].slow = True  # type: ignore[misc]
    few, all_of = (bench.cell(name, bench.tasks["toy"]) for name in ("FUDGE", "dlm"))
    assert few is not None and all_of is not None
    assert set(few.targets) <= set(all_of.targets) and len(few.texts[0]) == 2
    kept = [t for t in all_of.targets if t in few.targets]
    assert kept == few.targets


class Toy(ControlTable):
    name, title, systems, tasks = "toy", "Toy", ("FUDGE", "dlm"), ("toy",)


def test_a_table_pairs_our_row_with_the_best_other(bench: Bench) -> None:
    data = json.loads(json.dumps(Toy().make(bench)))
    assert data["rows"]["dlm"]["toy"]["exact"]["value"] == 0.5
    assert (
        data["rows"]["FUDGE"]["toy"]["exact"]["high"]
        > 0.0
        == data["rows"]["FUDGE"]["toy"]["exact"]["value"]
    )
    (paired,) = data["paired"]["toy"]
    assert (paired["best"], paired["value"], paired["targets"]) == ("FUDGE", 0.5, 6)
    shown = Toy().markdown(data)
    assert "| **dlm** | 50.0 [50, 50] |" in shown and "+50.0 [+50, +50] against FUDGE" in shown


def test_pairing_takes_the_targets_that_both_have() -> None:
    def cell(system: str, values: dict[str, float]) -> Cell:
        scores = {"m": [[v] for v in values.values()]}
        return Cell(system, "t", list(values), [[""]] * len(values), scores, 1.0, {})

    cells = {
        ("t", "dlm"): cell("dlm", {"a": 1.0, "b": 0.5, "c": 0.0}),
        ("t", "x"): cell("x", {"c": 0.5, "a": 0.5}),
        ("t", "y"): cell("y", {"b": 0.1}),
    }
    found = against_best(cells, "t", "m")
    assert found is not None
    assert (found["best"], found["value"], found["targets"]) == ("x", 0.0, 2)


def test_a_page_is_rewritten_between_its_marks(bench: Bench, tmp_path: Path) -> None:
    table = tables()["patterns"]
    made = dict.fromkeys(("command", "seed", "model", "training", "date", "machine"), "x")
    out = tmp_path / "results"
    out.mkdir()
    empty = {"tasks": {}, "rows": {}, "paired": {}, "made": made}
    (out / "table-patterns.json").write_text(json.dumps(empty))
    page = "a\n<!-- table patterns -->\nold\n<!-- end -->\n<!-- table 2 -->\nkept\n<!-- end -->\n"
    once = rewrite(page, out, tmp_path)
    assert "old" not in once and table.title in once and "kept" in once
    assert rewrite(once, out, tmp_path) == once


def test_everything_is_found_by_its_file() -> None:
    assert {"FUDGE", "PPLM", "FT-search", "FT-PoE", "COLD", "DELOREAN", "dlm"} <= systems().keys()
    assert {"2", "4", "5", "C", "steps", "frontier"} <= tables().keys()
    for table in tables().values():
        if isinstance(table, ControlTable):
            assert set(table.systems) <= systems().keys() and set(table.tasks) <= tasks().keys()
            assert set(table.paper.get("FUDGE", ())) <= set(table.tasks)


def test_an_unknown_system_is_named_with_the_nearest(bench: Bench) -> None:
    with pytest.raises(UsageError) as error:
        bench.system("FUDG")
    assert "FUDGE" in str(error.value.hint)
    with pytest.raises(UsageError, match="no task 'semantc'"):
        Bench(bench.lab, bench.budget, bench.out, only_tasks=["semantc"])


@pytest.mark.parametrize("choice", [{"learned_embedding": False}, {"parametrisation": "eps"}])
def test_a_recipe_survives_its_file(choice: dict[str, object]) -> None:
    config = recipe(100, 3, {"embedding_dim": 8, **choice})
    assert TrainConfig.read(tomllib.loads(toml(config)), "recipe.toml") == config


def test_a_trees_labels_give_the_tree_back() -> None:
    text = "(TOP (S (NP * *) (VP * (NP * (ADJP *))) *))"
    condition = conditions()["tree"]
    labels = condition.labels(Tree(text))
    assert labels is not None
    again = []
    for label in labels:
        opened, _, closed = label.partition("|")
        again.append("".join(f"({x} " for x in opened.split()) + "*" + ")" * int(closed))
    assert read_tree(f"(TOP {' '.join(again)})").brackets == read_tree(text).brackets
    codes = [c.removeprefix("tree:") for c in condition.codes(Tree(text))]
    assert read_tree(" ".join(codes)).brackets == read_tree(text).brackets


def test_a_gap_is_told_with_both_sides_and_its_middle_written() -> None:
    condition = conditions()["infill"]
    words = ["The", "Mill", "is", "a", "cheap", "pub", "near", "Burger", "King", "."]
    spec = Infill(left="The Mill is", right="near Burger King .", words=3)
    assert condition.written(spec, words) == ["a", "cheap", "pub"]
    assert condition.whole(spec, "a cheap pub") == " ".join(words)
    assert condition.codes(spec)[:4] == ["word:The", "word:Mill", "word:is", "infill:gap"]
    assert middle(spec, " ".join(words)) == "a cheap pub"


def gaps(bench: Bench) -> tuple[list[Target], list[list[str]]]:
    """Two gaps, of each a text that has its words and one that has others."""
    middles = {"The Mill is": ("a cheap pub", "an old place"), "Alimentum has": ("no view", "food")}
    targets, groups = [], []
    for left, (own, other) in middles.items():
        spec = Infill(left=left, right="near Burger King .", words=len(own.split()))
        targets.append(Target(as_controls(spec), f"{left} {own} near Burger King ."))
        groups.append([f"{left} {x} near Burger King ." for x in (own, other)])
    return targets, groups


def test_gaps_are_scored_one_by_one(bench: Bench) -> None:
    targets, groups = gaps(bench)
    assert overlap.METRICS["rouge_l"](bench.lab, targets, groups) == [[1.0, 0.0], [1.0, 0.0]]
    scores = overlap.cider(bench.lab, targets, groups)
    # 10 times the mean over n = 1 to 4 of the cosine: the gaps have three words and two
    assert scores is not None
    assert [pytest.approx(group) for group in scores] == [[7.5, 0.0], [5.0, 0.0]]
    free = [Target(as_controls(Length(3)), "")]
    assert overlap.cider(bench.lab, free, [["a b c"]]) is None


def test_table_5_has_the_bleu_of_sacrebleu_and_cider(bench: Bench, monkeypatch) -> None:
    targets, groups = gaps(bench)
    monkeypatch.setattr(Lab, "teacher", SimpleNamespace(nll=lambda texts: [2.0] * len(texts)))
    row = Table5()._row(bench, targets, [groups[0][:1], groups[1][1:]])
    own, made = ["a cheap pub", "no view"], ["a cheap pub", "food"]
    assert row["bleu4"]["value"] == pytest.approx(corpus_bleu(made, [own]).score)
    assert row["cider"]["value"] == pytest.approx(3.75)
    shown = Table5().markdown({"rows": {"dlm": row}})
    assert "| CIDEr ↑ |" in shown and "| 375.0 [" in shown
    assert len({line.count("|") for line in shown.splitlines()}) == 1


def test_times_are_ratios_to_one_text_of_one_batch(bench: Bench, monkeypatch) -> None:
    """By a clock that goes on by 0.01 s a word and 1 s a batch, twice with a fact."""
    monkeypatch.setattr(timing, "BATCHES", (1, 16))
    monkeypatch.setattr(timing, "WORDS", (20, 40))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])
    clock, asked = [0.0], []

    def generate(model: Model, controls: Controls, n: int, seed: int, **more: object) -> None:
        kinds = [term.spec.kind for term in controls]
        words, size = controls.terms[-1].spec.words, more["batch_size"]  # type: ignore[attr-defined]
        asked.append((kinds, words, size))
        clock[0] += (n * words / 100 + math.ceil(n / size)) * len(kinds)  # type: ignore[operator]

    monkeypatch.setattr(timing, "generate", generate)
    bench.tasks["semantic"] = bench.tasks["toy"]
    table = timing.Time()
    data = json.loads(json.dumps(table.make(bench)))
    assert len(asked) == len({repr(a) for a in asked}), "nothing is timed twice"
    unit = 20 / 100 + 1 / 16
    rows = [line.strip("| ").split(" | ") for line in table.markdown(data).splitlines()[2:4]]
    expected = [1.2 / unit, 1, 1, (0.4 + 1 / 16) / unit]
    assert [float(x) for x in rows[0][1:]] == [pytest.approx(x, rel=0.05) for x in expected]
    assert [float(x) for x in rows[1][1:]] == [pytest.approx(2 * x, rel=0.05) for x in expected]


@pytest.mark.parametrize("tags", ["PROPN ... PUNCT", "PROPN * PUNCT"])
def test_a_baseline_refuses_tags_that_leave_words_open(tags: str) -> None:
    condition = conditions()["pos"]
    assert condition.labels(Pos(tags="PROPN AUX")) == ["PROPN", "AUX"]
    for told in (condition.labels, condition.codes):
        with pytest.raises(
            UsageError, match=rf"a tag for each word, not '{re.escape(tags[6:-6])}'"
        ):
            told(Pos(tags=tags))


def test_base_and_judge_are_trained_once_from_other_seeds(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        path = tmp_path / "data" / "e2e" / f"{split}.csv.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(b"mr,ref\n" + b"name[A],The Mill is a pub .\n" * 12))
    small = Training(base_steps=2, layers=1, width=16)
    lab = Lab(tmp_path, tmp_path / "work", conditions(), small)
    text = "The Mill is a pub ."
    assert lab.texts("valid") == [text.split()] * 12
    judged = lab.teacher.nll([text])
    base = Teacher(lab.base.model, lab.base.vocab).nll([text])
    assert base != judged
    told: list[str] = []
    again = Lab(tmp_path, tmp_path / "work", conditions(), small, say=told.append)
    assert again.teacher.nll([text]) == pytest.approx(judged) and not told


def test_events_are_told_by_how_far_they_are() -> None:
    span, length = conditions()["span"], conditions()["length"]
    assert span.event(Span(3, 5, "PP"), 2) == span.event(Span(4, 6, "PP"), 3)
    assert length.event(Length(9), 4) == length.event(Length(10), 5)
    assert length.event(Length(9), 4) != length.event(Length(9), 5)
    assert span.codes(Span(0, 3, "S::VP"))[2:] == ["span:S", "span:VP"]


def test_the_command_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv("DLM_SHARED", raising=False)
    monkeypatch.setattr("sys.argv", ["paper", "2", "--out", str(tmp_path)])
    assert main() == 3 and "DLM_SHARED" in capsys.readouterr().err
    nowhere = ["paper", "2", "--out", str(tmp_path), "--shared", str(tmp_path / "none")]
    monkeypatch.setattr("sys.argv", nowhere)
    assert main() == 3 and "semantic.jsonl" in capsys.readouterr().err
