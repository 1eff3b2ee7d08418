"""+Aug and joined corpora: what is sampled, what is left out, and what is written."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from dlm_core.evaluation.teacher_training import TeacherConfig, train_teacher

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "examples" / "augment.py"
FINETUNE = ROOT / "examples" / "finetune.py"


@pytest.fixture(scope="module")
def augment() -> ModuleType:
    spec = importlib.util.spec_from_file_location("augment", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPT.parent)  # as when the script is run
        spec.loader.exec_module(module)
    return module


def test_what_is_left_out_is_counted(augment: ModuleType) -> None:
    kept = augment.Filter(["a b", "b a", "a b c"], min_count=1, max_words=3)
    offered = ["a", "a b", "a a b b", "a c", "", "a", "b"]
    assert [kept.offer(text.split()) for text in offered] == [True, *[False] * 5, True]
    assert list(kept.kept) == ["a", "b"]
    assert kept.left_out == {
        "a copy of the corpus": 1, "too long": 1, "with a rare word": 1, "empty": 1,
        "said before": 1,
    }  # fmt: skip


def test_a_teacher_adds_texts_of_its_words(tmp_path: Path) -> None:
    corpus = [f"the {x} is {y} ." for x in ("pub", "inn", "bar") for y in ("old", "new", "dear")]
    rows = [{"text": text, "kind": "pub"} for text in corpus[:6] * 6]
    small, more = tmp_path / "small.jsonl", tmp_path / "more.jsonl"
    small.write_text("".join(json.dumps(row) + "\n" for row in rows))
    texts = [row["text"] for row in rows]
    config = TeacherConfig(steps=30, layers=1, width=32, lr=1e-2, min_count=0)
    train_teacher(texts, texts[:6], tmp_path / "lm", config)
    argv = [f"jsonl:{small}", "--lm", tmp_path / "lm", "-n", "5", "--out", more, "--top-p", "1"]
    command = [sys.executable, SCRIPT, *argv]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    written = [json.loads(line) for line in more.read_text().splitlines()]
    assert written[: len(rows)] == [{"kind": "pub", "text": text} for text in texts]
    added = [row["text"] for row in written[len(rows) :]]
    assert json.loads(run.stdout)["sampled"] == len(added) == len(set(added)) == 5
    assert set(added).isdisjoint(texts)
    assert {w for text in added for w in text.split()} <= {
        w for text in texts for w in text.split()
    }
    assert "vocabulary:" in run.stderr
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 2 and "exists" in again.stderr


def save_characters(folder: Path) -> None:
    """A language model of characters, whose weights are random."""
    characters = ["<end>", "\n", *"abc. "]
    tokenizer = Tokenizer(models.WordLevel({x: k for k, x in enumerate(characters)}, "<end>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.Fuse()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(folder)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(characters), n_positions=256, n_embd=16, n_layer=1, n_head=1,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(folder)


@pytest.mark.parametrize("shown", [0, 8])
def test_any_model_of_transformers_writes_the_next_line(
    augment: ModuleType, tmp_path: Path, shown: int
) -> None:
    """Its lines end, and are cut into tokens."""
    save_characters(tmp_path)
    torch.manual_seed(1)
    options = Namespace(lm=str(tmp_path), seed=0, top_p=1.0, shown=shown, batch=32, temperature=1.0)
    source = augment.from_any(options, ["a b.", "c a."])
    drawn = [next(source) for _ in range(20)]
    assert all(set("".join(words)) <= set("abc.") for words in drawn)
    assert any(words and words[-1] == "." for words in drawn)  # cut as dlm's tokens are


def test_a_model_that_has_learnt_the_corpus_writes_its_like(
    augment: ModuleType, tmp_path: Path
) -> None:
    """Of three texts it learns to write hardly anything else."""
    pytest.importorskip("accelerate")
    texts = ["a b.", "b a.", "c c."]
    corpus, lm = tmp_path / "small.txt", tmp_path / "lm"
    corpus.write_text("\n".join(" ".join(augment.tokenise(text)) for text in texts * 20) + "\n")
    save_characters(tmp_path / "first")
    argv = [f"text:{corpus}", "--lm", tmp_path / "first", "--out", lm, "--cpu"]
    command = [sys.executable, FINETUNE, *map(str, argv), "--steps", "80", "--lr", "0.02"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1]) == {"texts": 60, "steps": 80}
    torch.manual_seed(1)
    options = Namespace(lm=str(lm), seed=0, top_p=1.0, shown=0, batch=32, temperature=1.0)
    source = augment.from_any(options, texts)
    drawn = [" ".join(next(source)) for _ in range(100)]
    known = {" ".join(augment.tokenise(text)) for text in texts}
    assert sum(text in known for text in drawn) > 40
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 2 and "exists" in again.stderr


def test_a_model_that_is_not_there_is_named(augment: ModuleType, tmp_path: Path) -> None:
    corpus = tmp_path / "small.txt"
    corpus.write_text("the pub is old .\n" * 20)
    argv = [f"text:{corpus}", "--lm", tmp_path / "none", "--out", tmp_path / "more.jsonl"]
    for script in (SCRIPT, FINETUNE):
        command = [sys.executable, script, *argv]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert run.returncode == 3 and "no language model" in run.stderr


def test_joined_corpora_keep_texts_and_fields(tmp_path: Path) -> None:
    plain, rows, out = tmp_path / "a.txt", tmp_path / "b.jsonl", tmp_path / "both.jsonl"
    plain.write_text("one\ntwo\n")
    rows.write_text('{"text": "three", "kind": "x"}\n')
    argv = [f"text:{plain}", f"jsonl:{rows}", "--out", str(out)]
    command = [sys.executable, str(ROOT / "examples" / "join.py"), *argv]
    assert subprocess.run(command, cwd=ROOT).returncode == 0
    written = [json.loads(line) for line in out.read_text().splitlines()]
    expected = [{"text": "one"}, {"text": "two"}, {"text": "three", "kind": "x"}]
    assert len(written) == 3 and all(row in written for row in expected)
