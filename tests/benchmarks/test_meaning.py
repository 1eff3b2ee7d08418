"""The rows of the benchmark of many conditions: what they ask, and the figures they give."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from sacrebleu.metrics.bleu import BLEU

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import meaning
import meaning_figures as figures
import meaning_targets as targets_of
from facts_judge import FactsJudge, facts
from meaning_bench import Bench, measure, requests_of
from meaning_targets import Meaning, Target

from dlm_controls import Keyword, Pos
from dlm_core.bundle import Model
from dlm_core.generation.prepare import Request

REFS = (
    "The Mill is a cheap English pub near Café Rouge .",
    "Near Café Rouge , the pub The Mill serves cheap English food .",
)
ROW = Meaning(
    facts("name[The Mill], eatType[pub], food[English], priceRange[cheap], near[Café Rouge]"), REFS
)
JUDGE = FactsJudge(["The Mill"], ["Café Rouge"])


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.load("e2e")


def test_share_is_over_groups_with_wilson_where_nothing_differs() -> None:
    # by hand: p = 1, n = 10, z = 1.96: (1 + z2/20 - z sqrt(z2/400)) / (1 + z2/10)
    every = figures.share([[True, True]] * 10)
    assert (every.value, every.high) == (1.0, pytest.approx(1.0))
    assert every.low == pytest.approx(0.7225, abs=1e-3)
    some = figures.share([[True, False, False], [True]])
    assert some.value == pytest.approx((1 / 3 + 1) / 2)  # a group counts once
    assert some.low <= some.value <= some.high


def test_ratio_of_means_keeps_pairs_together() -> None:
    figure = figures.ratio([2.0, 4.0, 8.0], [1.0, 2.0, 4.0])
    assert (figure.value, figure.low, figure.high) == pytest.approx((2, 2, 2))
    wide = figures.ratio([1.0, 9.0, 2.0, 8.0], [1.0] * 4)
    assert wide.low < wide.value == 5 < wide.high


def test_bleu_is_sacrebleus_own_with_as_many_references_as_there_are() -> None:
    texts = [
        ["The Mill is a pub near the river .", "a cheap pub"],
        ["It serves english food today ."],
    ]
    refs = [list(REFS), ["It serves English food today ."]]
    cased, signature = figures.bleu(texts, refs, False)
    streams = [[REFS[0], REFS[0], refs[1][0]], [REFS[1], REFS[1], ""]]
    plain = BLEU().corpus_score([t for g in texts for t in g], streams)
    assert cased.value == pytest.approx(plain.score)
    assert "case:mixed" in signature
    lower, signature = figures.bleu(texts, refs, True)
    assert lower.value > cased.value
    assert "case:lc" in signature
    assert figures.bleu([[r] for r in REFS], [[r] for r in REFS], False)[0].value == pytest.approx(
        100
    )


def test_measure_tells_a_right_text_from_wrong_ones() -> None:
    right, wrong = REFS[0], "The Mill is an expensive English pub near Café Rouge ."
    target = Target(None, ROW.facts, ROW.references)
    row = measure(Bench([ROW], JUDGE), [target], [[right, wrong]])
    assert row["said"].value == row["consistent"].value == row["all_three"].value == 0.5
    assert row["once"].value == 1.0
    assert "ratio" not in row  # without a teacher
    keyword = Target(None, {}, REFS, (Keyword(("river",)),))
    row = measure(Bench([ROW], JUDGE), [keyword], [["by the river .", right]])
    assert row["satisfied"].value == row["verdicts"].value == 0.5
    assert "said" not in row


def test_whole_mr_counts_what_is_added_and_missing() -> None:
    target = Target(None, ROW.facts, ROW.references)
    texts = [["The Mill is a cheap English pub , not family - friendly ."]]
    row = meaning.whole_mr(Bench([ROW], JUDGE), [target], texts)
    assert row["nothing_added"].value == 0.0
    assert row["missing near"] == 1.0
    assert row["missing food"] == 0.0
    assert "missing area" not in row  # no MR has it


def test_what_is_asked_comes_from_a_reference(model: Model) -> None:
    pytest.importorskip("spacy")
    (tags,) = targets_of.facts_tags([ROW], JUDGE, model.vocab, 60, 0)
    (ref,) = tags.references
    assert ref in REFS
    assert len(tags.facts) == 2
    (pos,) = tags.judged
    assert isinstance(pos, Pos)
    assert (len(pos.tags), pos.tags[-1]) == (7, "...")
    assert pos.verify(ref).satisfied
    (words,) = targets_of.keywords([ROW], JUDGE, model.vocab, 60, 0, 2, 1)
    assert len(words.facts) == 1
    assert all(spec.verify(words.references[0]).satisfied for spec in words.judged)
    again = targets_of.keywords([ROW], JUDGE, model.vocab, 60, 0, 2, 1)
    assert [t.judged for t in again] == [words.judged]


def test_some_facts_and_the_whole() -> None:
    (two,) = targets_of.some_facts([ROW], 2, 0)
    assert len(two.facts) == 2
    assert two.facts.items() <= ROW.facts.items()
    assert not targets_of.some_facts([ROW], 8, 0)
    assert targets_of.mr_string({"name": "The Mill", "food": "English"}) == (
        'mr:"name[The Mill], food[English]"'
    )
    assert targets_of.drawn(range(100), 5, 0) == targets_of.drawn(range(100), 5, 0)


def test_targets_of_a_row_have_noise_of_their_own_and_refusals_are_told(
    model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench([ROW], JUDGE, model=model, texts=3)
    targets = [*targets_of.whole([ROW], "semantic") * 2]
    targets.insert(1, Target("keyword:qqqq", {}, REFS))
    kept, requests = requests_of(bench, targets)
    assert len(kept) == 2
    assert "qqqq" in capsys.readouterr().err
    seeds = [set(range(r.seed, r.seed + r.n)) for r in requests]
    assert not seeds[0] & seeds[1]


def test_a_row_end_to_end(model: Model) -> None:
    bench = Bench([ROW], JUDGE, model=model, texts=2, until=1)
    row = meaning.mr(bench)
    assert (row["targets"], row["texts"]) == (1, 2)
    assert {"all_three", "nothing_added", "bleu", "until_all_three", "seconds_a_text"} <= row.keys()
    assert sum(len(group) for group in bench.again([Request(n=2)])) == 2
    assert len(bench.shown["mr"]) == 2


def test_distinct_mrs_of_the_validation_split() -> None:
    shared = os.environ.get("DLM_SHARED")
    if not shared:
        pytest.skip("DLM_SHARED is not set")
    rows = targets_of.meanings(Path(shared) / "data" / "e2e" / "valid.csv.gz")
    assert len(rows) == 547
    assert sum(len(m.references) for m in rows) == 4672
