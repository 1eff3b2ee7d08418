"""`dlm evaluate`, `score`, `nll`, `train teacher` as a user types them; what is wrong is named."""

from __future__ import annotations

import csv
import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
import sacrebleu
from numpy import mean
from scipy.stats import bootstrap

ITALIAN, PUB = "The Mill serves Italian food.", "The Mill is a cheap pub."


def rows(
    path: Path, *texts: str, controls: tuple[str, ...] = ("length:6",), **more: object
) -> Path:
    lines = [
        json.dumps({"text": t, "controls": controls, "seed": k} | more) for k, t in enumerate(texts)
    ]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory, texts: tuple[str, ...]) -> Path:
    from dlm_core.evaluation.teacher_training import TeacherConfig, train_teacher

    path = tmp_path_factory.mktemp("teacher")
    config = TeacherConfig(steps=2, layers=1, width=16, heads=2, positions=16, min_count=0)
    train_teacher(texts, texts, path, config)
    return path


def test_what_generate_writes_can_be_evaluated(make, run_cli, tmp_path: Path, tiny_model) -> None:
    ours = tmp_path / "ours.jsonl"
    assert make("-c", "length:5", "-n", 3, "-o", ours).code == 0
    run = run_cli("evaluate", ours, "-m", tiny_model.info.path)
    assert run.code == 0, run.err
    assert re.search(r"^control +100\.0% +\d\d\.\d% to 100\.0% +3$", run.out, re.M)
    assert "warning" not in run.err and f"model:{tiny_model.info.sha256[:8]}" in run.err
    other = run_cli("evaluate", ours)
    assert "made by model" in other.err and "--model MODEL" in other.err


def test_anybodys_texts_with_controls_of_the_command_line(run_cli, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.txt"
    theirs.write_text(f"{ITALIAN}\n{PUB}\n\n{ITALIAN}\n", encoding="utf-8")
    asked = ["-c", "semantic:food=Italian", "--not", "semantic:food=French"]
    run = run_cli("evaluate", "--texts", theirs, *asked)
    assert run.code == 0
    assert re.search(r"^control +66\.7% ", run.out, re.M)
    assert re.search(r"^not semantic +100\.0% ", run.out, re.M)
    assert re.search(r"^contradictions +0\.0% ", run.out, re.M)


def test_the_report_is_written_as_its_suffix_says(run_cli, tmp_path: Path) -> None:
    ours = rows(tmp_path / "ours.jsonl", ITALIAN, PUB, ITALIAN + " a")
    for suffix in ("json", "csv", "md"):
        assert run_cli("evaluate", ours, "-o", tmp_path / f"r.{suffix}").code == 0
    data = json.loads((tmp_path / "r.json").read_text())
    table = list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))
    assert [row["figure"] for row in table] == list(data["figures"])
    for row in table:
        assert float(row["value"]) == data["figures"][row["figure"]]["value"]
    assert data["figures"]["control"]["value"] == pytest.approx(100 / 3)
    assert data["signature"] in (tmp_path / "r.md").read_text()
    again = run_cli("evaluate", ours, "-o", tmp_path / "r.json")
    assert again.code == 2 and "exists" in again.err
    wrong = run_cli("evaluate", ours, "-o", tmp_path / "r.jsn")
    assert wrong.code == 2 and "did you mean '.json'" in wrong.err
    lost = run_cli("evaluate", ours, "-o", ours)
    assert lost.code == 2


def test_two_systems_are_compared_and_other_targets_refused(run_cli, tmp_path: Path) -> None:
    first = rows(tmp_path / "first.jsonl", *[ITALIAN] * 4)
    second = rows(tmp_path / "second.jsonl", *[PUB] * 3, ITALIAN)
    run = run_cli("evaluate", first, "--against", second, "-o", tmp_path / "both.json")
    assert run.code == 0
    assert re.search(r"^control +100\.0% +25\.0% +\+75\.0% +\+", run.out, re.M)
    assert max(map(len, run.lines)) <= 80
    data = json.loads((tmp_path / "both.json").read_text())
    assert data["differences"]["control"]["value"] == 75
    other = rows(tmp_path / "other.jsonl", *[PUB] * 4, controls=("length:7",))
    run = run_cli("evaluate", first, "--against", other)
    assert run.code == 2 and "different targets" in run.err and "'length:6' for one" in run.err


def test_paired_differences_are_scipys_of_the_targets(run_cli, tmp_path: Path) -> None:
    rng, targets, asked = random.Random(0), range(4, 24), {}
    for name in ("first", "second"):
        lines, asked[name] = [], {}
        for n in rng.sample(targets, len(targets)):  # each file has an order of its own
            sizes = [n + rng.choice((0, 0, rng.randrange(1, 99))) for _ in range(3)]
            asked[name][n] = sizes
            for k, size in enumerate(sizes):
                row = {"text": " ".join(["pub"] * size), "controls": [f"length:{n}"], "seed": k}
                lines.append(json.dumps(row))
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    files = tmp_path / "first.jsonl", "--against", tmp_path / "second.jsonl"
    assert run_cli("evaluate", *files, "-o", tmp_path / "both.json").code == 0
    found = json.loads((tmp_path / "both.json").read_text())["differences"]
    order = list(asked["first"])
    for figure, scale, measure in (
        ("words", 1, lambda n, sizes: mean(sizes)),
        ("control", 100, lambda n, sizes: mean([size == n for size in sizes])),
    ):
        ours, theirs = ([measure(n, asked[name][n]) for n in order] for name in asked)
        plain = bootstrap(
            (ours, theirs), lambda a, b, axis=-1: a.mean(axis) - b.mean(axis), paired=True,
            n_resamples=9999, rng=np.random.default_rng(0),
        ).confidence_interval  # fmt: skip
        assert found[figure]["value"] == pytest.approx(scale * (mean(ours) - mean(theirs)))
        step = scale / 60  # many resamples are alike: which of two neighbours is a matter of ties
        assert found[figure]["low"] == pytest.approx(scale * plain.low, abs=1.01 * step)
        assert found[figure]["high"] == pytest.approx(scale * plain.high, abs=1.01 * step)


def test_limits_end_with_1_and_an_unknown_figure_with_2(run_cli, tmp_path: Path) -> None:
    ours = rows(tmp_path / "ours.jsonl", ITALIAN, PUB)
    assert run_cli("evaluate", ours, "--fail-under", "control=50").code == 0
    run = run_cli("evaluate", ours, "--fail-under", "control=51%", "--fail-over", "words=5")
    assert (
        run.code == 1 and "control is 50, under 51" in run.err and "words is 6.5, over 5" in run.err
    )
    assert "control" in run.out, "the report is printed all the same"
    run = run_cli("evaluate", ours, "--fail-under", "contrl=97")
    assert run.code == 2 and "did you mean 'control'" in run.err
    for wrong in ("control", "control=a", "=3", "control=nan"):
        assert run_cli("evaluate", ours, "--fail-under", wrong).code == 2


def test_whole_lines_of_a_broken_file_count(run_cli, tmp_path: Path) -> None:
    ours = rows(tmp_path / "ours.jsonl", ITALIAN, ITALIAN, PUB)
    ours.write_text(ours.read_text()[:-20], encoding="utf-8")
    run = run_cli("evaluate", ours)
    assert run.code == 2 and "ours.jsonl, line 3: not JSON" in run.err
    assert re.search(r"^control +100\.0% .* 2$", run.out, re.M)
    ours.write_text("no\n" * 9 + ours.read_text(), encoding="utf-8")
    run = run_cli("evaluate", ours)
    assert "line 5: not" in run.err and "line 6" not in run.err and "5 more lines" in run.err


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        ("", 2, "no texts in it"),
        ('{"no": "text"}\n', 2, "line 1: expected a JSON object with a string 'text'"),
        ('{"text": "a", "controls": 3}\n', 2, "'controls' are no list of specs"),
        ('{"text": "a", "controls": ["lenth:3"]}\n', 2, "line 1: unknown control 'lenth'"),
        ("The Mill is a pub.\n", 2, "--texts"),
    ],
)
def test_files_that_are_no_results(
    run_cli, tmp_path: Path, content: str, code: int, message: str
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(content, encoding="utf-8")
    run = run_cli("evaluate", path)
    assert run.code == code and message in run.err


def test_what_is_odd_is_told_and_stops_nothing(run_cli, tmp_path: Path) -> None:
    bare = rows(tmp_path / "bare.jsonl", ITALIAN, "", controls=())
    run = run_cli("evaluate", bare)
    assert (
        run.code == 0
        and "no text names its controls" in run.err
        and "1 of 2 texts are empty" in run.err
    )
    assert "control" not in run.out
    old = rows(tmp_path / "old.jsonl", ITALIAN, signature="dlm:0.0.1|steps:25|seed:1")
    assert "made by dlm 0.0.1" in run_cli("evaluate", old).err
    said = [{"spec": "length:6", "satisfied": False}]
    path = tmp_path / "said.jsonl"
    path.write_text(json.dumps({"text": ITALIAN, "controls": said}) + "\n")
    assert "1 of 1 verdicts are not those in its rows" in run_cli("evaluate", path).err
    missing = run_cli("evaluate", bare, "--teacher", tmp_path / "none")
    assert missing.code == 3 and "dlm train teacher" in missing.err
    assert run_cli("evaluate", tmp_path / "gone.jsonl").code == 3
    assert run_cli("evaluate").code == 2
    assert run_cli("evaluate", bare, "--mauve").code == 2


def test_references_by_order_and_by_id(run_cli, tmp_path: Path) -> None:
    ours = rows(tmp_path / "ours.jsonl", ITALIAN, PUB)
    gold = tmp_path / "gold.txt"
    gold.write_text(f"The Mill serves French food.\n{PUB}\n", encoding="utf-8")
    plain = sacrebleu.corpus_bleu([ITALIAN, PUB], [gold.read_text().splitlines()]).score
    report = tmp_path / "r.json"
    assert run_cli("evaluate", ours, "--references", gold, "-o", report).code == 0
    figures = json.loads(report.read_text())["figures"]
    assert figures["bleu-4"]["value"] == pytest.approx(plain)
    assert {"rouge-l", "cider"} <= set(figures)
    lines = [json.dumps({"id": k, "references": [r]}) for k, r in ((2, PUB), (1, ITALIAN))]
    (tmp_path / "gold.jsonl").write_text("\n".join(lines))
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_text(
        "".join(json.dumps({"text": t, "id": k}) + "\n" for k, t in ((1, ITALIAN), (2, PUB)))
    )
    run = run_cli(
        "evaluate", mixed, "--references", tmp_path / "gold.jsonl", "-o", report, "--force"
    )
    assert run.code == 0
    assert json.loads(report.read_text())["figures"]["bleu-4"]["value"] == pytest.approx(100)
    gold.write_text(f"{PUB}\n")
    short = run_cli("evaluate", ours, "--references", gold)
    assert short.code == 2 and "1 lines for 2 texts" in short.err
    foreign = run_cli("evaluate", ours, "--references", tmp_path / "gold.jsonl")
    assert foreign.code == 2 and "no references for id null" in foreign.err


def test_fluency_copies_and_texts_longer_than_the_window(
    run_cli, tmp_path: Path, teacher: Path, texts: tuple[str, ...]
) -> None:
    corpus = tmp_path / "train.txt"
    corpus.write_text("\n".join(texts), encoding="utf-8")
    ours = rows(tmp_path / "ours.jsonl", texts[0], "The Mill is a " * 9, PUB)
    report = tmp_path / "r.json"
    run = run_cli(
        "evaluate", ours, "--teacher", teacher, "--corpus", f"text:{corpus}", "-o", report
    )
    assert run.code == 0 and "1 texts have more words than the 14" in run.err
    figures = json.loads(report.read_text())["figures"]
    assert figures["lm-score"]["texts"] == 2
    assert figures["copied"]["value"] == pytest.approx(100 / 3)
    assert figures["copied-run.longest"]["value"] == 10
    scored = run_cli("score", ours, "--teacher", teacher, "--json")
    assert json.loads(scored.out)["lm-score"] == pytest.approx(figures["lm-score"]["value"])
    each = run_cli("score", ours, "--teacher", teacher, "--each")
    nats = [json.loads(line)["nll"] for line in each.lines]
    assert sum(nats) / 2 == pytest.approx(figures["lm-score"]["value"], abs=1e-3)
    assert "left out" in scored.err


def test_a_teacher_is_trained_by_one_command(
    run_cli, tmp_path: Path, texts: tuple[str, ...]
) -> None:
    corpus = tmp_path / "train.txt"
    corpus.write_text("\n".join(texts * 5), encoding="utf-8")
    argv = ["train", "teacher", "--corpus", f"text:{corpus}", "--out", tmp_path / "t", "--steps", 3]
    argv += ["--layers", 1, "--width", 8, "--heads", 2, "--min-count", 0, "--device", "cpu"]
    run = run_cli(*argv)
    assert run.code == 0 and "dlm score TEXTS --teacher" in run.err
    assert run_cli("score", corpus, "--teacher", tmp_path / "t").code == 0
    again = run_cli(*argv)
    assert again.code == 2 and "--force" in again.err


def test_nll_tells_its_parts(run_cli, tmp_path: Path, tiny_model, texts: tuple[str, ...]) -> None:
    corpus = tmp_path / "valid.txt"
    corpus.write_text("\n".join([*texts, "The " * 99]), encoding="utf-8")
    argv = ["nll", "--corpus", f"text:{corpus}", "-m", tiny_model.info.path, "--draws", 2]
    run = run_cli(*argv, "--json")
    assert run.code == 0 and "1 of 8 texts" in run.err
    figures = {name: f["value"] for name, f in json.loads(run.out)["figures"].items()}
    assert figures["nll"] == pytest.approx(sum(figures.values()) - figures["nll"])
    table = run_cli(*argv)
    assert re.search(rf"^nll +{figures['nll']:.3f} ", table.out, re.M)
    assert max(map(len, table.lines)) <= 100
