"""What `dlm train` refuses and tells: other corpora, finished models, what ships with dlm."""

from __future__ import annotations

import json
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest

from dlm_cli.train.settings import PLACES
from dlm_core.bundle import EMBEDDED, ModelInfo
from dlm_core.config import TrainConfig

CONFIG = """
max_steps = 2
batch_tokens = 64
eval_every = 2
sample_steps = 2
min_count = 0
[model]
hidden = 16
layers = 1
heads = 2
max_len = 14
embedding_dim = 4
train_steps = 20
"""


@pytest.fixture
def corpus(tmp_path, texts):
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(texts * 6))
    return path


@pytest.fixture
def lm(run_cli, tmp_path, corpus):
    """`dlm train lm` of two steps into tmp_path/run."""
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)

    def run(*argv, out="run"):
        first = ("train", "lm", "--corpus", f"text:{corpus}", "--device", "cpu")
        return run_cli(*first, "--out", tmp_path / out, "--config", config, *argv)

    return run


def test_a_run_that_goes_on(lm, run_cli, tmp_path, corpus):
    run = lm("--stop-after", 1)
    assert run.code == 0 and "vocabulary: " in run.err and "held out: " in run.err
    for stop in (1, 9):
        run = lm("--resume", "--stop-after", stop)
        assert run.code == 2 and f"option '--stop-after': {stop}, but the" in run.err
    run = lm("--resume", "--init", "e2e")
    assert run.code == 2 and "option '--resume' and option '--init'" in run.err
    old = corpus.read_text()
    corpus.write_text("zebra lion zebra\n" + old)
    run = lm("--resume")
    assert run.code == 2 and run.err.count(f"text:{corpus} (") == 2 and "--new-data" in run.err
    corpus.write_text(old)
    # settings that are left out are the checkpoint's
    again = ("train", "lm", "--corpus", f"text:{corpus}", "--out", tmp_path / "run", "--resume")
    run = run_cli(*again, "--device", "cpu")
    assert run.code == 0 and "wrote the bundle" in run.err, run.err
    run = lm("--resume", "--max-steps", 3)
    assert run.code == 0 and "going on to step 3 instead of 2" in run.err
    run = lm()
    assert run.code == 2 and "--force" in run.err
    (tmp_path / "run" / "checkpoint").unlink()
    run = lm()
    assert run.code == 2 and "holds a model already" in run.err
    assert lm("--force").code == 0
    mixed = ("models", "mix", tmp_path / "run", tmp_path / "run", "--out", tmp_path / "run")
    assert run_cli(*mixed).code == 2 and run_cli(*mixed, "--force").code == 0


def test_fine_tuning_takes_the_models_words_and_shape(lm, run_cli, tmp_path, corpus):
    assert lm().code == 0
    corpus.write_text("The pub near Zizzi .\nThe Mill is cheap .\n" * 20)
    tune = ("train", "lm", "--corpus", f"text:{corpus}", "--max-steps", 1, "--device", "cpu")
    run = run_cli(*tune, "--init", tmp_path / "run", "--out", tmp_path / "tuned")
    assert run.code == 0 and "8.9% of the running words are UNK" in run.err, run.err
    first, second = (ModelInfo.read(str(tmp_path / name)) for name in ("run", "tuned"))
    assert first.vocab.words == second.vocab.words and first.config == second.config
    (tmp_path / "config.toml").write_text("[model]\nhidden = 32\n")
    run = run_cli(
        *tune,
        "--init",
        tmp_path / "run",
        "--out",
        tmp_path / "other",
        "--config",
        tmp_path / "config.toml",
    )
    assert run.code == 2 and "'hidden' of the model is 16, this run's is 32" in run.err
    assert "leave it out of the [model] table" in run.err


def test_fine_tuning_with_new_words_keeps_the_vectors_of_shared_ones(lm, run_cli, tmp_path, corpus):
    assert lm().code == 0
    corpus.write_text("The pub near Zizzi.\nThe Mill is cheap.\n" * 20)
    tune = ("train", "lm", "--corpus", f"text:{corpus}", "--max-steps", 1, "--device", "cpu")
    (tmp_path / "few.toml").write_text("min_count = 0\n")
    tune = (*tune, "--config", tmp_path / "few.toml", "--out", tmp_path / "tuned", "--new-words")
    run = run_cli(*tune)
    assert run.code == 2 and "option '--new-words' needs '--init'" in run.err
    run = run_cli(*tune, "--init", tmp_path / "run")
    assert run.code == 0 and "0.0% of the running words are UNK" in run.err, run.err
    assert "--init: 11 of 12 words begin with their vectors of" in run.err, run.err
    assert "and 100% of the other weights" in run.err
    tuned = ModelInfo.read(str(tmp_path / "tuned"))
    assert "Zizzi" in tuned.vocab and tuned.text.tokenise


def test_training_that_diverges_writes_no_model(lm, tmp_path):
    (tmp_path / "config.toml").write_text(
        CONFIG.replace("max_steps = 2", "max_steps = 40\nlr = 1e30\nwarmup_steps = 0")
    )
    run = lm()
    assert run.code == 1 and "training diverged" in run.err and "lower 'lr'" in run.err, run.err
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_what_ships_with_dlm_is_not_written_into(run_cli, tmp_path, corpus, monkeypatch):
    monkeypatch.chdir(tmp_path)
    head = EMBEDDED / "e2e/controls/semantic/head.safetensors"
    before = head.read_bytes()
    run = run_cli("train", "control", "semantic", "--corpus", f"text:{corpus}", "--steps", 1)
    assert run.code == 2 and head.read_bytes() == before
    copy = run.err.split("copy it first: ")[1].split(";")[0]
    assert copy == "dlm models copy e2e my-e2e"
    assert run_cli(*shlex.split(copy)[1:]).code == 0  # the advice works
    assert ModelInfo.read("my-e2e").heads == ["pos", "semantic", "tree", "writer"]
    run = run_cli(*shlex.split(copy)[1:])
    assert run.code == 2 and "holds a model already" in run.err


def test_a_head_that_is_there_needs_force_and_one_elsewhere_is_named(
    run_cli, tmp_path, corpus, tiny_model
):
    model = shutil.copytree(tiny_model.info.path, tmp_path / "my model")
    train = ("train", "control", "semantic", "-m", model, "--corpus", f"text:{corpus}")
    train += ("--rules", "e2e", "--steps", 1, "--device", "cpu")
    check = ("controls", "check", "-m", model, "semantic:food=Japanese")
    run = run_cli(*check)
    assert run.code == 3 and f"--model '{model}'" in run.err
    out = tmp_path / "heads" / "facts"
    run = run_cli(*train, "--out", out)
    assert run.code == 0 and f"--head semantic={out}" in run.err, run.err
    assert run_cli(*check, "--head", f"semantic={out}").code == 0
    generate = ("generate", "-m", model, "-c", "semantic:food=Japanese", "-n", 1, "--steps", 2)
    assert run_cli(*generate, "--dry-run").code == 3
    assert run_cli(*generate, "--head", f"semantic={out}", "--device", "cpu").code == 0
    run = run_cli(*train, "--out", out)
    assert run.code == 2 and "--force" in run.err
    assert run_cli(*train, "--out", out, "--force").code == 0
    run = run_cli(*check, "--head", f"semantic={out}", "-m", "e2e")
    assert run.code == 3 and "trained for another model" in run.err


def test_span_says_whose_head_it_needs(run_cli, tiny_model):
    model = tiny_model.info.path
    shown = run_cli("controls", "show", "span", "-m", model, "--json")
    assert json.loads(shown.out)["head"] == "missing (tree)"
    for command in (
        ("controls", "check", "span:0,1,NP"),
        ("generate", "--dry-run", "-c", "span:0,1,NP"),
    ):
        run = run_cli(*command, "-m", model)
        assert run.code == 3 and "no trained head for control 'tree'" in run.err
    run = run_cli("train", "control", "span", "--corpus", "text:none")
    assert run.code == 2 and "dlm train control tree" in run.err


def test_a_head_learns_nothing_from_texts_without_facts(run_cli, tmp_path, tiny_model):
    path = tmp_path / "none.txt"
    path.write_text("The is a near in .\n" * 40)
    out = tmp_path / "head"
    train = ("train", "control", "semantic", "-m", tiny_model.info.path, "--out", out)
    train += ("--rules", "e2e")
    run = run_cli(*train, "--corpus", f"text:{path}", "--device", "cpu")
    assert run.code == 2 and "none of 40 texts state a fact" in run.err and not out.exists()


def test_a_folder_of_the_name_of_a_model_is_told(run_cli, tmp_path, monkeypatch, tiny_model):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_model.info.path, tmp_path / "e2e")
    run = run_cli("controls", "check", "length:5", "-m", "e2e")
    assert run.code == 0 and "the folder of that name is ./e2e" in run.err
    assert "warning" not in run_cli("controls", "check", "length:5", "-m", "./e2e").err
    (tmp_path / "e2e").rename(tmp_path / "mine")
    run = run_cli("models", "mix", "mine", "mine", "--out", "e2e")
    assert run.code == 0 and "-m ./e2e" in run.err


def test_the_command_for_a_classifier_can_be_typed(run_cli, tmp_path, tiny_model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = shutil.copytree(tiny_model.info.path, tmp_path / "my model")
    rows = [{"text": f"The Mill serves {k} food .", "label": k} for k in ("cheap", "French")]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows * 20))
    train = ("train", "control", "classify", "--data", "rows.jsonl", "--steps", 2)
    run = run_cli(*train, "-m", model, "--name", "price", "--device", "cpu")
    assert run.code == 0, run.err
    typed = shlex.split(run.err.split("use it: ")[1])
    assert typed == ["dlm", "generate", "-m", str(model), "-c", "classify:price=French"]
    run = run_cli(*typed[1:], "--dry-run")
    assert run.code == 0
    run = run_cli("controls", "check", "classify:nobody=yes", "-m", model)
    assert run.code == 3


def test_a_whole_run_in_one_file(run_cli, tmp_path, corpus, monkeypatch):
    folder = tmp_path / "recipes"
    folder.mkdir()
    path = folder / "run.toml"
    first = 'corpus = "text:../corpus.txt"\nout = "../one"\n'
    path.write_text(first + CONFIG + 'denoiser = "unet"\nlearned_embedding = false\n')
    monkeypatch.chdir(folder.parent.parent)  # paths are the file's, not the caller's
    run = run_cli("train", "lm", path, "--device", "cpu")
    assert run.code == 0, run.err
    config = ModelInfo.read(tmp_path / "one").config
    assert config.denoiser == "unet" and not config.learned_embedding
    run = run_cli("train", "writer", "-m", tmp_path / "one", "--corpus", f"text:{corpus}")
    assert run.code == 2 and "denoiser 'unet' cannot have a writer" in run.err
    run = run_cli(
        "generate", "-m", tmp_path / "one", "-n", 1, "--sampler", "dpmpp_2m", "--no-clamp"
    )
    assert run.code == 0 and len(run.lines) == 1
    run = run_cli("train", "lm", path, "--out", tmp_path / "two", "--max-steps", 1)
    assert run.code == 0 and (tmp_path / "two" / "config.json").is_file()
    run = run_cli("train", "lm", path, "--config", path)
    assert run.code == 2 and "exclude each other" in run.err
    path.write_text("corpus = 3\n")
    run = run_cli("train", "lm", path)
    assert run.code == 2 and "key 'corpus': must be a string" in run.err
    path.write_text('out = "../three"\n')
    run = run_cli("train", "lm", path)
    assert run.code == 2 and "missing option '--corpus'" in run.err


def test_a_bert_to_begin_with(lm, run_cli, tmp_path):
    from transformers import BertConfig, BertModel

    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    shape |= {"vocab_size": 9, "intermediate_size": 64}
    BertModel(BertConfig(**shape)).save_pretrained(tmp_path / "bert")
    bert = f'bert_checkpoint = "{tmp_path / "bert"}"\n'
    (tmp_path / "config.toml").write_text(bert + CONFIG + 'denoiser = "bert"\n')
    assert lm().code == 0
    run = run_cli("generate", "-m", tmp_path / "run", "-n", 1)
    assert run.code == 0 and len(run.lines) == 1
    run = lm("--init", tmp_path / "run", out="other")
    assert run.code == 2 and "'--init' and key 'bert_checkpoint' exclude each other" in run.err
    (tmp_path / "config.toml").write_text(bert + CONFIG)
    run = lm(out="other")
    assert run.code == 2 and "bert_checkpoint needs denoiser='bert'" in run.err


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "examples").glob("*.toml")), ids=lambda p: p.stem
)
def test_the_examples_are_settings(path):
    data = tomllib.loads(path.read_text("utf-8"))
    if path.stem == "recipe":
        pytest.skip("of dlm generate")
    TrainConfig.read({k: v for k, v in data.items() if k not in PLACES}, path.name)
