"""`dlm train lm` and `dlm train control` on a toy corpus."""

from __future__ import annotations

import json
import shutil

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


@pytest.fixture
def corpus(tmp_path, texts):
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(texts * 4))
    return f"text:{path}"


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return path


def test_lm_is_trained_resumed_and_used(run_cli, tmp_path, corpus, config):
    out = tmp_path / "run"
    lm = ("train", "lm", "--corpus", corpus, "--config", config, "--device", "cpu", "--out", out)
    run = run_cli(*lm, "--stop-after", 2)
    assert run.code == 0 and not run.out
    assert "stopped at step 2; continue with --resume" in run.err
    run = run_cli(*lm)
    assert run.code == 2 and "option '--out'" in run.err and "--resume" in run.err
    run = run_cli(*lm, "--resume")
    assert run.code == 0 and f"wrote the bundle {out}" in run.err
    assert "step 4: validation cross-entropy" in run.err
    run = run_cli("generate", "-m", out, "-n", 1, "--steps", 2, "-c", "length:5")
    assert run.code == 0 and len(run.out.split()) == 5
    tuned = ("--init", out, "--out", tmp_path / "tuned", "--max-steps", 1)
    run = run_cli(*lm[:-2], *tuned)
    assert run.code == 0 and (tmp_path / "tuned" / "model.safetensors").exists(), run.err


def test_a_wrong_key_of_the_config_is_named(run_cli, tmp_path, corpus, config):
    config.write_text("max_step = 4\n")
    run = run_cli("train", "lm", "--corpus", corpus, "--config", config, "--out", tmp_path / "run")
    assert run.code == 2 and "key 'max_step'" in run.err and "'max_steps'" in run.err


def test_an_unwritable_out_is_told_before_the_corpus_is_read(run_cli, tmp_path):
    (tmp_path / "file").write_text("")
    run = run_cli("train", "lm", "--corpus", "text:none", "--out", tmp_path / "file" / "run")
    assert run.code == 2 and "option '--out'" in run.err


def test_the_head_of_a_control_goes_into_the_model(run_cli, tmp_path, corpus, tiny_model):
    model = shutil.copytree(tiny_model.info.path, tmp_path / "model")
    train = ("train", "control", "semantic", "--corpus", corpus, "--device", "cpu", "--steps", 2)
    run = run_cli(*train, "-m", model)
    assert run.code == 2 and "none of 28 texts have fields" in run.err
    run = run_cli(*train, "--rules", "e2f", "-m", model)
    assert run.code == 2 and "did you mean 'e2e'?" in run.err
    run = run_cli(*train, "--rules", "e2e", "-m", model, "--seed", 3)
    assert run.code == 0 and not run.out, run.err
    assert "lexicon: " in run.err and "wrote " in run.err
    head = json.loads((model / "controls/semantic/config.json").read_text())
    assert (head["steps"], head["seed"]) == (2, 3)
    shown = json.loads(run_cli("controls", "show", "semantic", "-m", model, "--json").out)
    assert shown["head"] == "trained"


@pytest.mark.parametrize("kind", ["length", "infill"])
def test_a_classifier_free_control_has_nothing_to_train(run_cli, kind):
    run = run_cli("train", "control", kind, "--corpus", "text:none")
    assert run.code == 2
    assert f"control '{kind}' has no head to train" in run.err and "semantic" in run.err


def test_an_unknown_control_names_the_nearest(run_cli):
    run = run_cli("train", "control", "semantics", "--corpus", "text:none")
    assert run.code == 2 and "'semantics'" in run.err and "did you mean 'semantic'" in run.err


def test_a_plugin_that_fails_in_training_is_named(
    run_cli, tmp_path, corpus, keyword_plugin, bundle
):
    train = "    @classmethod\n    def train(cls, *args, **options): raise ValueError('no luck')\n"
    code = keyword_plugin.read_text()
    keyword_plugin.write_text(code.replace("@hookimpl", f"{train}@hookimpl"))
    run = run_cli(
        *("train", "control", "word", "-m", bundle, "--corpus", corpus, "--device", "cpu"),
        *("--out", tmp_path / "head", "--plugin", keyword_plugin),
    )
    assert run.code == 5 and not (tmp_path / "head").exists()
    assert "control 'word' from" in run.err and "ValueError: no luck" in run.err


def test_a_tree_head_is_trained_from_kept_parses(run_cli, tmp_path, tiny_model):
    """No parser is needed for what the file holds."""
    model = shutil.copytree(tiny_model.info.path, tmp_path / "model")
    starts = ["", *(f"{word} " * n for word in ("The", "a") for n in (1, 2, 3, 4))]
    texts = ["The pub is cheap .", "The Mill is a pub .", "The Eagle serves food ."]
    trees = [
        "(TOP (S (NP (DT The) (NN pub)) (VP (VBZ is) (ADJP (JJ cheap))) (. .)))",
        "(TOP (S (NP (DT The) (NN Mill)) (VP (VBZ is) (NP (DT a) (NN pub))) (. .)))",
        "(TOP (S (NP (DT The) (NN Eagle)) (VP (VBZ serves) (NP (NN food))) (. .)))",
    ]
    texts = [start + text for start in starts for text in texts]
    trees = [
        tree.replace("(DT The)", "".join(f"(DT {w}) " for w in start.split()) + "(DT The)", 1)
        for start in starts
        for tree in trees
    ]
    kept, corpus = tmp_path / "parses.jsonl", tmp_path / "corpus.txt"
    rows = [json.dumps({"text": a, "tree": b}) for a, b in zip(texts, trees, strict=True)]
    kept.write_text("\n".join(rows) + "\n")
    corpus.write_text("\n".join(texts) + "\n")
    train = ("train", "control", "tree", "--corpus", f"text:{corpus}", "--device", "cpu", "-m")
    run = run_cli(*train, model, "--steps", 2, "--trees", kept, "--parser", "/no/parser")
    assert run.code == 0 and "chart t=0.05: " in run.err, run.err
    assert json.loads((model / "controls/tree/config.json").read_text())["trees"] == len(texts)
    kept.write_text("\n".join(rows[:2]) + "\n")
    run = run_cli(*train, model, "--force", "--steps", 2, "--trees", kept, "--parser", "/no/parser")
    assert run.code == 3 and ("DLM_PARSER" in run.err or "is not installed" in run.err), run.err
    run = run_cli("train", "control", "pos", "--corpus", "text:none", "--trees", kept)
    assert run.code == 2 and "option '--trees'" in run.err


def test_a_classifier_is_trained_and_the_line_of_a_broken_row_named(run_cli, tmp_path):
    data, out = tmp_path / "rows.jsonl", tmp_path / "head"
    rows = [{"text": f"The Mill has {kind} food .", "label": kind} for kind in ("cheap", "French")]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows * 20))
    command = ("train", "control", "classify", "--data", data, "--out", out, "--steps", "3")
    run = run_cli(*command)
    assert run.code == 0 and f"classify:{out}=" in run.err
    assert json.loads((out / "config.json").read_text())["labels"] == ["French", "cheap"]
    data.write_text(json.dumps(rows[0]) + '\n{"text": "a pub"}\n')
    run = run_cli(*command, "--force")
    assert run.code == 2 and "line 2" in run.err and "label" in run.err
