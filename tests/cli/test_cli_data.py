"""`dlm data check`: what a model will see of a corpus, on stdout."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("".join(f"the pub is cheap and near river {i % 3} .\n" for i in range(60)))
    return path


def test_the_report_is_the_result(run_cli, mine):
    run = run_cli("data", "check", f"text:{mine}", "--min-count", 2)
    assert (run.code, run.err) == (0, "")
    assert run.lines[0] == "data: 54 texts of 9.0 words on average, 9 at most; 486 words in all"
    assert "held out: 6 of 60 texts, drawn at random, for validation" in run.lines
    assert (
        "vocabulary: 11 words of more than 2 uses; 0.0% of the running words are UNK" in run.lines
    )
    shown = [line[:-4] for line in run.lines if line.startswith("  | ")]
    assert shown == ["  | the pub is cheap and near river"] * 3


def test_as_json(run_cli, mine):
    run = run_cli("data", "check", f"text:{mine}", "--min-count", 2, "--json")
    report = json.loads(run.out)
    assert (report["texts"], report["vocabulary"], report["unk_share"]) == (54, 11, 0)
    assert len(report["seen"]) == 3


def test_the_configs_values_and_the_validation_texts(run_cli, mine, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text('min_count = 30\n[model]\nmax_len = 10\nlength_mode = "padded"\n')
    run = run_cli("data", "check", f"text:{mine}", "--config", config, "--valid", f"text:{mine}")
    assert run.code == 0
    assert f"held out: 60 texts of text:{mine}, for validation" in run.lines
    assert (
        "too long: 60 of 60 texts have more than 8 words and are cut there (max_len)" in run.lines
    )
    assert any("of more than 30 uses; 11.1% of the running words" in line for line in run.lines)


def test_options_are_called_as_in_training(run_cli, tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("The pub is cheap .\nThe big old pub is not so cheap .\n" * 30)
    options = ("--min-count", 0, "--max-words", 5)
    plain = run_cli("data", "check", f"text:{path}", *options, "--max-len", 8, "--json")
    data = json.loads(plain.out)
    assert (data["vocabulary"], data["max_len"]) == (5, 8)
    assert data["unk"] > 0 and data["too_long"] > 0
    spelled = run_cli("data", "check", f"text:{path}", *options, "--pieces", 40, "--json")
    data = json.loads(spelled.out)
    assert data["unk"] == 0 and data["spelled"] > 0 and data["pieces"] > 0


def test_for_a_head_of_a_model(run_cli, tmp_path):
    path = tmp_path / "l.jsonl"
    path.write_text('{"text": "The pub is cheap , zebra .", "label": 1}\n')
    run = run_cli("data", "check", f"labelled:{path}", "-m", "e2e")
    assert run.code == 0
    assert any(line.endswith("most often lost: zebra (1)") for line in run.lines)
    assert not any(line.startswith("held out") for line in run.lines)
    run = run_cli("data", "check", f"labelled:{path}", "-m", "e2e", "--min-count", 3)
    assert run.code == 2 and "leave out --min-count" in run.err


def test_an_encoding_is_named(run_cli, tmp_path):
    path = tmp_path / "l1.txt"
    path.write_bytes(("Le café est près du marché , Zoé .\n" * 20).encode("latin-1"))
    run = run_cli("data", "check", f"text:{path}")
    assert run.code == 2 and "line 1: byte 0xe9 is not utf-8" in run.err
    assert "--encoding latin-1" in run.err  # the advice, typed:
    run = run_cli("data", "check", f"text:{path}", "--encoding", "latin-1", "--min-count", 2)
    assert run.code == 0 and "  | Le café est près du marché , Zoé ." in run.lines


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("one line\n", "the corpus has 1 text: none can be held out"),
        ("".join(f"a{i} b{i}\n" for i in range(50)), "too little is left to learn from"),
        ('{"text": "a"}\n', "is no file of plain texts"),
        ("\ufeff\n", "corpus"),
    ],
)
def test_what_cannot_be_trained_on_ends_with_2(run_cli, tmp_path, content, message):
    path = tmp_path / "mine.txt"
    path.write_text(content, encoding="utf-8")
    run = run_cli("data", "check", f"text:{path}")
    assert run.code == 2 and run.out == ""
    assert f"error: {message}" in run.err.replace(f"text:{path}: ", "").replace(f"{path} ", "")
    assert "Traceback" not in run.err
