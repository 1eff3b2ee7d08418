"""Every command reads a corpus for a model as the model's own texts were prepared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dlm_core.bundle import ModelInfo
from dlm_core.evaluation.teacher import Teacher

CONFIG = """
max_steps = 2
batch_tokens = 64
eval_every = 2
sample_steps = 2
min_count = 0
[text]
case = "true"
full_stop = true
sentences = [1, 1]
[model]
hidden = 16
layers = 1
heads = 2
max_len = 14
embedding_dim = 4
train_steps = 20
"""
RAW = ["We saw Ann and Tom in Boston. They're fine!", "so ann left boston , i think"]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(RAW * 15))
    return path


@pytest.fixture
def trained(run_cli: Any, tmp_path: Path, corpus: Path) -> Path:
    (tmp_path / "config.toml").write_text(CONFIG)
    lm = ("train", "lm", "--corpus", f"text:{corpus}", "--device", "cpu")
    lm = (*lm, "--out", tmp_path / "run", "--config", tmp_path / "config.toml")
    run = run_cli(*lm, "--stop-after", 1)
    assert run.code == 0, run.err
    assert "texts are in small letters; 4 words with capitals are learnt" in run.err
    assert "| So Ann left Boston , I think ." in run.err
    run = run_cli(*lm, "--resume")  # the checkpoint has what was learnt
    assert run.code == 0 and "with capitals" not in run.err, run.err
    return tmp_path / "run"


def test_all_commands_read_as_the_model_did(
    run_cli: Any, tmp_path: Path, trained: Path, corpus: Path
) -> None:
    info = ModelInfo.read(trained)
    assert info.text.capitals == ("Ann", "Boston", "I", "Tom")
    assert {"We", "So", "They", "'re", "Ann", "."} <= set(info.vocab.plain_words)
    assert {"so", "ann", "i", "They're"}.isdisjoint(info.vocab.plain_words)

    # a corpus of its own in small letters alone gets the model's capitals, and none is unknown
    (tmp_path / "small.txt").write_text("so ann left boston\ni think tom left . they 're fine\n")
    small = f"text:{tmp_path / 'small.txt'}"
    run = run_cli("data", "check", small, "--model", trained)
    assert run.code == 0, run.err
    assert "| So Ann left Boston ." in run.out
    assert "| I think Tom left ." in run.out and "| They 're fine ." in run.out
    run = run_cli("nll", "-m", trained, "--corpus", small, "--draws", 1, "--json")
    assert run.code == 0, run.err
    told = json.loads(run.out)
    assert (told["texts"], told["unk"]) == (3, 0)

    teacher = tmp_path / "teacher"
    shape = ("--steps", 1, "--layers", 1, "--width", 8, "--heads", 2, "--min-count", 0)
    run = run_cli("train", "teacher", "--corpus", f"text:{corpus}", "--out", teacher, *shape,
                  "--model", trained, "--device", "cpu")  # fmt: skip
    assert run.code == 0, run.err
    assert Teacher.load(teacher).text == info.text
    run = run_cli("score", small, "--teacher", teacher, "--json")
    told = json.loads(run.out)
    assert (told["texts"], told["teacher-unk"]) == (3, 0)


def test_heads_and_shown_settings(run_cli: Any, tmp_path: Path, trained: Path) -> None:
    rows = [{"text": f"{text}", "label": "ab"[k % 2]} for k, text in enumerate(RAW * 15)]
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    run = run_cli("train", "control", "classify", "--model", trained, "--data", data, "--name",
                  "x", "--steps", 1, "--device", "cpu")  # fmt: skip
    assert run.code == 0, run.err
    assert "unknown words: 0.0000" in run.err
    (tmp_path / "writer.toml").write_text('[text]\ncase = "keep"\n')
    run = run_cli("train", "writer", "--model", trained, "--corpus", "text:corpus.txt",
                  "--config", tmp_path / "writer.toml")  # fmt: skip
    assert run.code == 2 and "a writer has the texts of its model" in run.err
    run = run_cli("models", "show", trained)
    assert "text.case" in run.out and "Boston" in run.out


def test_a_writer_is_shown_nothing_that_its_model_cannot_be_asked_for(
    run_cli: Any, tmp_path: Path, trained: Path
) -> None:
    # E2E's rules would read facts of these texts, and this model has no head that knows facts
    restaurants = tmp_path / "restaurants.txt"
    restaurants.write_text("\n".join(["We saw a cheap family friendly French pub ."] * 40))
    (tmp_path / "writer.toml").write_text("max_steps = 1\neval_every = 1\nsample_steps = 2\n")
    run = run_cli("train", "writer", "--model", trained, "--corpus", f"text:{restaurants}",
                  "--config", tmp_path / "writer.toml", "--device", "cpu")  # fmt: skip
    assert run.code == 0, run.err
    assert "not shown, without a head in this model: pos, semantic" in run.err
    codes = json.loads((trained / "controls/writer/config.json").read_text())["codes"]
    assert codes == []


def test_settings_that_cannot_be_read_are_told(run_cli: Any, trained: Path) -> None:
    config = trained / "config.json"
    data = json.loads(config.read_text())
    data["train"]["text"]["case"] = "upper"
    config.write_text(json.dumps(data))
    run = run_cli("data", "check", "text:corpus.txt", "--model", trained)
    assert run.code == 3, run.err
    run = run_cli("nll", "-m", trained, "--corpus", "text:corpus.txt")
    assert run.code == 3
