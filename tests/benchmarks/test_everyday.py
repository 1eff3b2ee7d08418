"""Everyday English: what is asked of whom, what is trained for it, and what is counted."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest
from sacrebleu import corpus_bleu

from benchmarks.baselines.lab import Lab, Training
from benchmarks.lemmas import _pipeline
from benchmarks.paper.__main__ import main
from benchmarks.paper.budget import Budget
from benchmarks.paper.cells import Bench
from benchmarks.paper.metrics import overlap
from benchmarks.paper.metrics.coverage import coverage
from benchmarks.paper.tables import tables
from benchmarks.paper.tables.sentences import Anlg, CommonGen, Roc, least_risk
from benchmarks.paper.tasks import conditions, tasks
from benchmarks.paper.tasks.base import Target
from benchmarks.paper.tasks.infill import cut_sentence, middle
from dlm_controls import Infill, Keyword
from dlm_core.bundle import Model
from dlm_core.control.compose import as_controls
from dlm_core.corpora.prepare import split_sentences

SENTENCES = ["The Mill is cheap .", "It serves food .", "The Eagle is a pub .", "The end ."]
TRAINING = Training(
    base_steps=2,
    layers=1,
    width=16,
    tune_steps=2,
    discriminator_steps=1,
    texts=50,
    relaxed_steps=10,
)


@pytest.fixture
def bench(tmp_path: Path, tiny_model: Model) -> Bench:
    """Two texts to infill, and a corpus of three sentences a text."""
    rows = {
        "a": {"obs1": "The pub.", "obs2": "The end.", "gold_labels": ["It is cheap.", "The Mill."]},
        "b": {"obs1": "The Mill.", "obs2": "It is.", "gold_labels": ["The pub."]},
        "long": {"obs1": "The Mill is near a pub.", "obs2": "It is.", "gold_labels": ["The."]},
    }
    story = "The pub. The Mill. It is a pub. It is. The end."
    for place, text in (
        ("anlg/dev.json.gz", json.dumps(rows)),
        (
            "roc/valid.jsonl.gz",
            f'{json.dumps({"text": story})}\n{{"text": "The Mill. The pub."}}\n',
        ),
    ):
        path = tmp_path / "data" / place
        path.parent.mkdir(parents=True)
        path.write_bytes(gzip.compress(text.encode()))
    rng, corpus = random.Random(0), tmp_path / "windows.jsonl"
    texts = [" ".join(rng.sample(SENTENCES, 3)) for _ in range(60)]
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    lab = Lab(tmp_path, tmp_path / "work", conditions(), TRAINING, corpus=f"jsonl:{corpus}")
    lab.__dict__["model"] = tiny_model
    return Bench(
        lab,
        Budget("tiny", 2, 3, 2, 1, 1, 1, 3, {"hidden": 16, "layers": 1}, TRAINING),
        tmp_path / "out",
    )


def test_a_middle_sentence_is_cut_with_and_without_its_size() -> None:
    words = ["One", ".", "Two", "words", ".", "Three", "."]
    free, sized = cut_sentence(words, random.Random(0))
    assert (free.left, free.right, free.words, sized.words) == ("One .", "Three .", None, 3)
    condition = conditions()["infill"]
    assert condition.written(free, words) == ["Two", "words", "."]
    assert condition.codes(free)[-1] == "infill:open" and condition.codes(sized)[-1] == "infill:3"


def test_targets_are_what_the_model_has_room_for(bench: Bench) -> None:
    found = tasks()["anlg"].targets(bench.lab, 9)
    assert [t.reference for t in found] == [
        "The pub . It is cheap . The end .",
        "The Mill . The pub . It is .",
    ]
    assert found[0].references[1:] == ("The pub . The Mill . The end .",)
    (told,), (free,) = (tasks()[name].targets(bench.lab, 9) for name in ("roc", "roc-open"))
    assert told.controls.terms[0].spec == Infill(left="The Mill .", right="It is .", words=5)
    assert free.controls.terms[0].spec == Infill(left="The Mill .", right="It is .")


def test_an_open_size_is_drawn_from_the_corpus_for_who_needs_one(bench: Bench) -> None:
    task = tasks()["anlg"]
    target = task.targets(bench.lab, 1)[0]
    assert [(a.controls, a.n) for a in task.asks(bench.lab, target, 40, 7, False)] == [
        (target.controls, 40)
    ]
    asks = task.asks(bench.lab, target, 40, 7, True)
    drawn = [ask.controls.terms[0].spec.words for ask in asks]  # type: ignore[attr-defined]
    own = {len(list(split_sentences(text))[1]) for text in bench.lab.texts("train")}
    assert set(drawn) == own == {3, 4, 5, 6}
    assert [ask.seed for ask in asks] == list(range(7, 47))
    assert task.asks(bench.lab, target, 1, 9, True) == asks[2:3]


def test_every_hypothesis_counts_and_a_sentence_is_judged_alone(bench: Bench) -> None:
    targets = tasks()["anlg"].targets(bench.lab, 2)
    groups = [["The pub . The Mill . The end ."], ["The Mill . A pub . It is ."]]
    assert overlap.METRICS["rouge_l"](bench.lab, targets, groups) == [[1.0], [0.5]]
    row = Anlg()._row(bench, targets, groups)
    gold = [["It is cheap .", "The pub ."], ["The Mill .", None]]
    expected = corpus_bleu(["The Mill .", "A pub ."], gold).score
    assert row["bleu4"]["value"] == pytest.approx(expected)


def test_the_risk_of_a_sentence_leaves_its_sides_out() -> None:
    spec = Infill(left="The Mill .", right="The end .")
    target = Target(as_controls(spec), "", alone=True)
    texts = [f"The Mill . {x} The end ." for x in ("a b c d", "a b c e", "x y")]
    assert least_risk(target, texts) in texts[:2]


@pytest.mark.parametrize("table", [Anlg(), Roc()], ids=["anlg", "roc"])
def test_every_row_of_the_tables_is_made(bench: Bench, table: Anlg | Roc) -> None:
    data = json.loads(json.dumps(table.make(bench)))
    for task in table.tasks:
        label = table.labels.get(task, "")
        for name in table.systems:
            assert data["rows"][name + label]["targets"] == min(
                2, len(tasks()[task].targets(bench.lab, 9))
            )
        assert f"dlm{label}, MBR of 3" in data["rows"]
    shown = table.markdown(data)
    assert len({line.count("|") for line in shown.splitlines()}) == 1
    for path in (bench.out / "cells").iterdir():
        cell = json.loads(path.read_text())
        assert cell["settings"]["corpus"] == bench.lab.corpus
        if path.name != "roc.ar-infilling.json":  # it has hardly learnt to count
            assert all(x == 1.0 for group in cell["scores"]["kept"] for x in group), path.name
        gap = Infill(left="The pub .", right="The end .")
        if path.name == "anlg.left-only.json":
            assert all(
                len(list(split_sentences(middle(gap, t).split()))) == 1 for t in cell["texts"][0]
            )


def test_a_table_of_everyday_english_wants_a_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["paper", "5-anlg", "--out", str(tmp_path), "--shared", str(tmp_path)]
    monkeypatch.setattr("sys.argv", argv)
    assert main() == 2 and "--corpus" in capsys.readouterr().err
    assert {"5-anlg", "roc", "commongen"} <= {
        name for name, table in tables().items() if table.everyday
    }


@pytest.fixture
def concepts(bench: Bench) -> Bench:
    """Two sets of concepts, one of a word that the model lacks."""
    folder = bench.lab.shared / "data" / "commongen"
    folder.mkdir()
    rows = ["near pub", "near pub", "near giraffe"]
    written = ["The pub is near.", "Pubs are near.", "A giraffe is near."]
    for side, lines in (("src_alpha", rows), ("tgt", written)):
        path = folder / f"commongen.dev.{side}.txt.gz"
        path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return bench


def test_a_set_of_concepts_has_every_sentence_of_it(concepts: Bench) -> None:
    (target,) = tasks()["commongen"].targets(concepts.lab, 9)
    assert target.controls.terms[0].spec == Keyword(["near", "pub"], exact=False)
    assert target.references == ("The pub is near .", "Pubs are near .")


def test_concepts_are_covered_by_any_form_of_them(bench: Bench) -> None:
    if _pipeline() is None:
        pytest.skip("spaCy's model is not installed")
    target = Target(as_controls(Keyword(["dog", "run", "field"])), "", alone=True)
    texts = ["The dogs ran .", "A dog runs in the field .", "Nothing ."]
    (found,) = coverage(bench.lab, [target], [texts]) or [[]]
    assert found == pytest.approx([2 / 3, 1, 0])
    free = Target(as_controls(Infill(left="a")), "")
    assert coverage(bench.lab, [free], [["a b"]]) is None


def test_a_baseline_is_told_the_lemmas_of_a_text(bench: Bench) -> None:
    condition = conditions()["keyword"]
    texts = [
        ["The", "dogs", "ran", "across", "a", "field", "with", "the", "children", "."],
        ["Yes", "."],
    ]
    (spec,), none = condition.read(bench.lab, texts)
    assert none == () and 3 <= len(spec.phrases) <= 5
    if _pipeline() is not None:
        assert set(spec.phrases) <= {"dog", "run", "field", "child"}
    assert condition.codes(Keyword(["run", "dog"])) == ["keyword:", "word:dog", "word:run"]


def test_every_row_of_commongen_is_made(concepts: Bench) -> None:
    data = json.loads(json.dumps(CommonGen().make(concepts)))
    assert data["rows"]["dlm"]["coverage"]["value"] == 1.0
    assert data["rows"]["dlm, any form"]["coverage"]["value"] == 1.0
    shown = CommonGen().markdown(data)
    assert len({line.count("|") for line in shown.splitlines()}) == 1
