"""Paths and values in recipes; the default model; finite numbers."""

from __future__ import annotations

import json
import shutil
import tomllib

import pytest


@pytest.fixture
def folder(tmp_path, tiny_model, keyword_plugin):
    """A folder with a model, a plugin and a recipe that names both."""
    place = tmp_path / "rec"
    place.mkdir()
    shutil.copytree(tiny_model.info.path, place / "mymodel")
    shutil.copy(keyword_plugin, place / "mine.py")
    (place / "mymodel/controls/word").mkdir(parents=True)
    (place / "mymodel/controls/word/config.json").write_text("{}")
    (place / "r.toml").write_text(
        'model = "mymodel"\nplugins = "mine.py"\ncontrols = "word:pub"\nn = 1\n'
        "[sampling]\nsteps = 2\n"
    )
    return place


def test_paths_are_relative_to_the_recipe(run_cli, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = run_cli("generate", "--recipe", "rec/r.toml", "--allow-plugins")
    assert run.code == 0 and len(run.lines) == 1
    monkeypatch.chdir(folder)
    assert run_cli("generate", "--recipe", "r.toml", "--allow-plugins").lines == run.lines
    printed = run_cli("generate", "--recipe", "r.toml", "--allow-plugins", "--dry-run").out
    elsewhere = tmp_path / "elsewhere.toml"  # what is printed means the same wherever it is saved
    elsewhere.write_text(printed)
    monkeypatch.chdir("/")
    assert "--allow-plugins" in printed
    assert run_cli("generate", "--recipe", elsewhere, "--allow-plugins").lines == run.lines
    again = run_cli("generate", "--recipe", elsewhere, "--allow-plugins", "--dry-run").out
    assert tomllib.loads(again) == tomllib.loads(printed)
    monkeypatch.setenv("HOME", str(folder))
    (tmp_path / "home.toml").write_text('model = "~/mymodel"\nplugins = ["~/mine.py"]\nn = 1\n')
    home = ("--recipe", tmp_path / "home.toml", "--allow-plugins")
    assert run_cli("generate", *home, "--steps", 2).code == 0


def test_a_recipe_runs_no_python_unless_the_user_says_so(run_cli, folder, monkeypatch):
    monkeypatch.chdir(folder)
    ran = folder / "ran"
    with (folder / "mine.py").open("a") as stream:
        stream.write(f"\nopen({str(ran)!r}, 'w').close()\n")
    run = run_cli("generate", "--recipe", "r.toml")
    assert run.code == 2 and not run.out and not ran.exists()
    assert "mine.py" in run.err and "--allow-plugins" in run.err
    run = run_cli("generate", "--recipe", "r.toml", "--dry-run")
    assert run.code == 2 and "unknown control 'word'" in run.err and not ran.exists()
    (folder / "idle.toml").write_text('model = "mymodel"\nplugins = "mine.py"\n')
    run = run_cli("generate", "--recipe", "idle.toml", "--dry-run")
    assert run.code == 0 and "does not run the recipe's plugins" in run.err and not ran.exists()
    assert tomllib.loads(run.out)["plugins"] == [str(folder / "mine.py")]
    assert run_cli("generate", "--recipe", "r.toml", "--allow-plugins").code == 0 and ran.exists()
    ran.unlink()
    run = run_cli("generate", "--recipe", "r.toml", "--plugin", "mine.py")
    assert run.code == 0 and ran.exists()


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ('model = "mymdel"', 3, "key 'model': no model or folder 'mymdel'"),
        ('model = "~/m"', 3, "key 'model': no model or folder '~/m'"),
        ('plugins = ["none.py"]', 3, "key 'plugins': no file 'none.py'"),
        ("n = true", 2, "key 'n': must be an integer, not true"),
        ("controls = 5", 2, """key 'controls': must be a list, ["length:5"], not 5"""),
        ('model = ["e2e"]', 2, "key 'model': must be a string"),
        ("sampling = 4", 2, "key 'sampling': must be a table of keys, not 4"),
        ("[sampling]\ntemperature = inf", 2, "key 'sampling.temperature': must be a number that"),
        ("[guidance]\nfluency = nan", 2, "key 'guidance.fluency': must be a number that"),
        ("a = " + "[" * 50_000, 2, "nested too deep"),
    ],
)
def test_errors_name_the_key_and_no_option(run_cli, folder, text, code, message):
    path = folder / "bad.toml"
    path.write_text(text)
    run = run_cli("generate", "--recipe", path)
    assert run.code == code and not run.out and message in run.err
    assert "option" not in run.err and str(path) in run.err


def test_a_json_recipe_too_deep_or_not_text(run_cli, tmp_path):
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    run = run_cli("generate", "--recipe", path)
    assert run.code == 2 and f"{path}: nested too deep" in run.err
    path.write_text('{"controls": ["keyword:\\ud800"]}')
    run = run_cli("generate", "--recipe", path)
    assert run.code == 2 and "half a surrogate pair" in run.err


@pytest.mark.parametrize(
    ("option", "value"), [("--temperature", "inf"), ("--eta", "nan"), ("--fluency", "inf"),
                          ("--guidance-lr", "inf"), ("--time-power", "nan")]
)  # fmt: skip
def test_numbers_are_finite(run_cli, option, value):
    run = run_cli("generate", option, value)
    assert run.code == 2 and f"option '{option}': {value}" in run.err


def test_dlm_model_names_the_default(run_cli, folder, tiny_model, monkeypatch):
    monkeypatch.setenv("DLM_MODEL", str(folder / "mymodel"))
    shown = json.loads(run_cli("models", "show", "--json").out)
    assert shown["path"] == str(folder / "mymodel")
    generate = ("generate", "-n", 1, "--steps", 2, "--dry-run", "--format", "jsonl")
    sha = json.loads(run_cli(*generate).out)["model"]["sha256"]
    assert sha == tiny_model.info.sha256
    env = json.loads(run_cli("env", "--json").out)
    assert env["settings"]["model"] == f"{folder / 'mymodel'} (environment)"
    assert env["variables"]["DLM_MODEL"] == str(folder / "mymodel")
    assert json.loads(run_cli(*generate, "-m", "e2e").out)["model"]["name"] == "e2e"
    (folder / "e.toml").write_text('model = "e2e"\n')
    assert json.loads(run_cli(*generate, "-r", folder / "e.toml").out)["model"]["name"] == "e2e"
    monkeypatch.setenv("DLM_MODEL", "")
    assert json.loads(run_cli(*generate).out)["model"]["name"] == "e2e"
