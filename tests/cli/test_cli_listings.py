"""`dlm controls`, `plugins`, `models` and `env`."""

from __future__ import annotations

import json

BUILT_IN = {"semantic", "pos", "tree", "span", "classify", "pattern", "keyword", "avoid"} | {
    "length",
    "infill",
}


def test_controls_list(run_cli):
    rows = json.loads(run_cli("controls", "list", "--json").out)
    assert {row["kind"] for row in rows} >= BUILT_IN
    assert all(row["summary"] and row["example"] and row["provider"] for row in rows)
    table = run_cli("controls", "list").out
    for row in rows:
        assert row["kind"] in table and row["example"] in table and row["summary"] in table


def test_controls_show(run_cli):
    data = json.loads(run_cli("controls", "show", "length", "--json").out)
    assert data["positional"] == ["words", "to"] and data["head"] == "not needed"
    assert data["fields"]["words"]["required"] and data["fields"]["words"]["limits"] == [">= 1"]
    assert data["fields"]["to"]["type"] == "int | None"
    text = run_cli("controls", "show", "length").out
    assert "-c length:10-14" in text and "dlm_controls/length.py:" in text and "words" in text


def test_controls_show_an_unknown_one(run_cli):
    run = run_cli("controls", "show", "lenght")
    assert run.code == 2 and "did you mean 'length'?" in run.err


def test_controls_check_ends_with_the_worst(run_cli):
    run = run_cli("controls", "check", "length:12", 'pos:"... PUNCT"')
    assert run.code == 0 and not run.err
    assert run.lines == [
        "ok  length:12  (exactly 12 words)",
        'ok  pos:"... PUNCT"  (1 to 64 words)',
    ]
    run = run_cli("controls", "check", "lenth:12", "length:12")
    assert run.code == 2 and len(run.lines) == 1 and "unknown control 'lenth'" in run.err
    assert run_cli("controls", "check", "lenth:12", "length:99").code == 4


def test_controls_check_against_another_model(run_cli, tiny_model):
    run = run_cli("controls", "check", "length:20", "-m", tiny_model.info.path)
    assert run.code == 4 and "1 to 14 words" in run.err


def test_plugins_list(run_cli, broken_plugin, keyword_plugin):
    argv = ("plugins", "list", "--plugin", broken_plugin, "--plugin", keyword_plugin)
    data = json.loads(run_cli(*argv, "--json").out)
    built_in = data["plugins"][0]
    assert built_in["distribution"] == "dlm" and set(built_in["controls"]) >= BUILT_IN
    assert "e2e" in built_in["corpora"]
    assert data["plugins"][-1]["controls"] == ["word"]
    (failure,) = data["failures"]
    assert failure["stage"] == "import" and "not_there" in failure["error"] and failure["hint"]
    run = run_cli(*argv)
    assert run.code == 0
    assert "failed: plugin 'broken'" in run.out and "hint: " in run.out


def test_models_list(run_cli, tiny_model, bundle):
    run = run_cli("models", "list", tiny_model.info.path, "--json")
    *embedded, tiny = json.loads(run.out)
    assert run.code == 0 and [row["model"] for row in embedded] == ["e2e", "everyday"]
    assert tiny["max_words"] == 14 and tiny["vocabulary"] == len(tiny_model.vocab)
    (bundle / "model.safetensors").unlink()
    run = run_cli("models", "list", bundle)
    assert run.code == 3 and "e2e" in run.out and "model.safetensors is missing" in run.err


def test_models_show(run_cli, bundle, tiny_model):
    (bundle / "README.md").write_text("# A card\n")
    data = json.loads(run_cli("models", "show", bundle, "--json").out)
    assert data["vocabulary"] == 821 and data["max_words"] == 64 and len(data["sha256"]) == 64
    assert data["noise_schedule"] == "sqrt, T = 2000" and data["card"] == "# A card\n"
    text = run_cli("models", "show", bundle).out
    assert "# A card" in text and data["sha256"] in text


def test_parameters_are_counted_without_torch(run_cli, tiny_model):
    data = json.loads(run_cli("models", "show", tiny_model.info.path, "--json").out)
    assert data["parameters"] == sum(p.numel() for p in tiny_model.net.parameters())


def test_models_mix(run_cli, bundle, tmp_path):
    result = run_cli("models", "mix", bundle, bundle, "--share", "0.3", "--out", tmp_path / "mix")
    assert result.code == 0, result.err
    shown = run_cli("models", "show", tmp_path / "mix", "--json")
    assert json.loads(shown.out)["mix"]["share"] == 0.3
    refused = run_cli("models", "mix", bundle, bundle, "--share", "3", "--out", tmp_path / "no")
    assert refused.code == 2 and "between 0 and 1" in refused.err


def test_env(run_cli, monkeypatch):
    monkeypatch.setenv("DLM_PLUGINS", "")
    data = json.loads(run_cli("env", "--json").out)
    assert data["variables"]["DLM_PLUGINS"] == ""
    assert "torch" in data["packages"] and "e2e" in data["dlm"]["models"]
    assert data["machine"]["device"]
    run = run_cli("env")
    assert run.code == 0 and "torch" in run.out and "python" in run.out
