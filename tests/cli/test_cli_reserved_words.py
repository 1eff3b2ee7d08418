"""START, END, UNK and PAD as words of a corpus: trained on, asked for, written."""

from __future__ import annotations

import pytest

CONFIG = """
max_steps = 4
batch_tokens = 64
eval_every = 4
sample_steps = 4
min_count = 0
[model]
hidden = 16
layers = 1
heads = 2
max_len = 14
embedding_dim = 4
train_steps = 20
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    from dlm_cli.__main__ import main

    folder = tmp_path_factory.mktemp("reserved")
    (folder / "a.txt").write_text("a mouse PAD on the table .\npress START and END .\n" * 20)
    (folder / "c.toml").write_text(CONFIG)
    texts, out = f"text:{folder / 'a.txt'}", str(folder / "run")
    lm = ["train", "lm", "--corpus", texts, "--valid", texts, "--device", "cpu", "--out", out]
    assert main([*lm, "--config", str(folder / "c.toml")]) == 0
    return folder / "run"


@pytest.mark.parametrize(
    "spec", ["keyword:PAD", 'pattern:"... PAD ..."', "infill:left=a mouse PAD"]
)
def test_a_word_spelt_like_a_mark_can_be_asked_for(run_cli, trained, spec):
    run = run_cli(
        "generate", "-m", trained, "--steps", 4, "-n", 2, "-c", spec, "-c", "length:5", "--tokens"
    )
    assert run.code == 0, run.err
    for line in run.lines:
        assert len(line.split()) == 5 and "PAD" in line.split()


def test_a_mark_that_is_no_word_cannot(run_cli, trained):
    run = run_cli("generate", "-m", trained, "-c", "keyword:UNK", "--steps", 4)
    assert run.code == 2 and "'UNK'" in run.err


def test_training_reads_another_encoding(run_cli, trained, tmp_path):
    path, out = tmp_path / "l1.txt", tmp_path / "run"
    path.write_bytes(("Le café est près du marché .\n" * 20).encode("latin-1"))
    lm = ("train", "lm", "--corpus", f"text:{path}", "--config", trained.parent / "c.toml")
    run = run_cli(*lm, "--device", "cpu", "--out", out)
    assert run.code == 2 and "line 1: byte 0xe9 is not utf-8" in run.err
    run = run_cli(*lm, "--device", "cpu", "--out", out, "--encoding", "latin-1")
    assert run.code == 0, run.err
    assert "café" in (out / "tokenizer.json").read_text(encoding="utf-8")
