"""Every bad input ends with its code, and a message that names the field and the place."""

from __future__ import annotations

import json

import pytest

TAGS = "PROPN AUX DET ADJ NOUN ADP PROPN PROPN PUNCT"


@pytest.mark.parametrize(
    ("specs", "code", "parts"),
    [
        (["semntic:food=Thai"], 2, ["unknown control 'semntic'", "\n  ^^^^^^^\n", "'semantic'"]),
        (["semantic:fod=Japanese"], 2, ["'semantic'", "unknown field 'fod'", "'food'", "^^^"]),
        (["semantic:food=Japnese"], 2, ["'semantic'", "unknown food 'Japnese'", "'Japanese'"]),
        (['pos:"PROPN AUXX"'], 2, ["'pos'", "field 'tags'", "unknown tag 'AUXX'", "'AUX'"]),
        (["length:"], 2, ["'length'", "how many words?", "length:12"]),
        (["length:-3"], 2, ["'length'", "field 'words'", "greater than or equal to 1", "  ^^\n"]),
        (["length:14-10"], 2, ["'length'", "14-10 is reversed", "length:10-14"]),
        (["length:99"], 4, ["'length:99'", "exactly 99 words", "at most 64 words"]),
        ([f'pos:"{" ".join(["NOUN"] * 65)}"'], 4, ["'pos:", "exactly 65 words", "64"]),
        (["length:5", f'pos:"{TAGS}"'], 4, ["'length:5'", f"'pos:\"{TAGS}\"'", "contradict"]),
        ([f"infill:left={'The ' * 64}"], 4, ["'infill:", "at least 65 words", "64"]),
        (["infill:left="], 2, ["'infill'", "empty"]),
    ],
    ids=lambda value: value[-1][:28] if isinstance(value, list) else "",
)
@pytest.mark.parametrize("dry", [True, False], ids=["dry", "run"])
def test_specs(run_cli, specs, code, parts, dry):
    argv = [word for spec in specs for word in ("-c", spec)]
    run = run_cli("generate", *argv, *(["--dry-run"] if dry else []))
    assert run.code == code and not run.out
    assert run.err.startswith("error: ") and "\nhint: " in run.err
    for part in parts:
        assert part in run.err


def test_a_missing_model_names_the_nearest(run_cli):
    run = run_cli("generate", "-m", "e2")
    assert run.code == 3 and "model 'e2'" in run.err and "'e2e'" in run.err


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("how", ["missing", "truncated"])
def test_an_incomplete_bundle(run_cli, bundle, name, how):
    path = bundle / name
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for command in (("generate", "-n", 1, "-m"), ("models", "show")):
        run = run_cli(*command, bundle)
        assert run.code == 3 and not run.out
        assert name in run.err and str(bundle) in run.err


@pytest.mark.parametrize("content", ['{"model_type": "gpt2"}', "[]", '{"format": "dlm-bundle-1"}'])
def test_a_foreign_bundle(run_cli, bundle, content):
    (bundle / "config.json").write_text(content)
    run = run_cli("generate", "-m", bundle)
    assert run.code == 3 and "config.json" in run.err


def test_files_that_do_not_belong_together(run_cli, bundle):
    path = bundle / "config.json"
    data = json.loads(path.read_text())
    data["model"]["hidden"] = 128
    path.write_text(json.dumps(data))
    run = run_cli("generate", "-m", bundle, "-n", 1)
    assert run.code == 3 and "does not fit config.json" in run.err


def test_a_missing_plugin_file(run_cli):
    run = run_cli("generate", "--plugin", "nowhere.py")
    assert run.code == 3 and "option '--plugin'" in run.err and "nowhere.py" in run.err


@pytest.mark.parametrize("command", ["lm", "control"])
def test_a_broken_row_of_a_corpus(run_cli, tmp_path, bundle, command):
    corpus = tmp_path / "broken.csv"
    corpus.write_text('mr,ref\n"name[The Mill]",The Mill is a pub .\n"no brackets",What ?\n')
    kind = ["control", "semantic", "-m", bundle] if command == "control" else ["lm"]
    out = tmp_path / "out"
    run = run_cli("train", *kind, "--corpus", f"e2e:{corpus}", "--out", out)
    assert run.code == 2 and not out.exists()
    assert f"{corpus}, line 3" in run.err and "column 'mr'" in run.err


def test_corpus_errors(run_cli, tmp_path):
    lm = ("train", "lm", "--out", tmp_path / "out", "--corpus")
    run = run_cli(*lm, "e2:x.csv")
    assert run.code == 2 and "unknown reader 'e2'" in run.err and "'e2e'" in run.err
    run = run_cli(*lm, f"text:{tmp_path}/none.txt")
    assert run.code == 3 and "none.txt" in run.err
    run = run_cli(*lm, "plain.txt")
    assert run.code == 2 and "READER:PATH" in run.err
