"""Settings: option, environment, file, default; what is told on stderr; tables of 80 columns."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys

import pytest

from dlm_cli import output


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Writes the file of settings."""
    path = tmp_path / "settings.toml"
    monkeypatch.setenv("DLM_SETTINGS", str(path))

    def write(text):
        path.write_text(text)
        return path

    return write


def held(run_cli, *before):
    return json.loads(run_cli(*before, "env", "--json").out)["settings"]


def test_an_option_goes_before_the_environment_and_that_before_the_file(run_cli, file, monkeypatch):
    file('model = "mine"\nseed = 5\nthreads = 3\n')
    assert held(run_cli)["seed"] == "5 (file)"
    monkeypatch.setenv("DLM_SEED", "7")
    monkeypatch.setenv("DLM_THREADS", "2")
    told = held(run_cli, "--threads", 4)
    assert told["seed"] == "7 (environment)" and told["model"] == "mine (file)"
    assert told["threads"] == "4 (option)" and told["log_level"] == "info (default)"
    assert held(run_cli)["threads"] == "2 (environment)"  # an option is of its command alone
    monkeypatch.setenv("DLM_SEED", "")
    assert held(run_cli)["seed"] == "5 (file)"


def test_threads_that_nobody_set_are_told_as_torch_takes_them(run_cli, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert held(run_cli)["threads"] == "all cores (default)"
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert held(run_cli)["threads"] == "3 (OMP_NUM_THREADS)"


def test_the_servers_key_is_not_in_a_bug_report(run_cli, monkeypatch):
    monkeypatch.setenv("DLM_API_KEY", "sesame")
    for argv in (["env"], ["env", "--json"]):
        told = run_cli(*argv).out
        assert "DLM_API_KEY" in told and "sesame" not in told


def test_what_is_set_holds_where_nothing_is_asked(run_cli, file, tiny_model, tmp_path):
    file(f'model = "{tiny_model.info.path}"\nseed = 5\n')
    asked = ("generate", "--dry-run", "--format", "jsonl")
    told = json.loads(run_cli(*asked).out)
    assert told["seed"] == 5 and told["model"]["path"] == str(tiny_model.info.path)
    assert json.loads(run_cli(*asked, "--seed", 0, "-m", "e2e").out)["seed"] == 0
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('model = "e2e"\nseed = 9\n')
    assert json.loads(run_cli(*asked, "--recipe", recipe).out)["seed"] == 9


def test_threads_are_those_of_torch(make, monkeypatch):
    import torch

    before = torch.get_num_threads()
    try:
        monkeypatch.setenv("DLM_THREADS", "2")
        assert make("-n", 1, "-c", "length:3").code == 0 and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("text", "variables", "message"),
    [
        ("modl = 1", {}, "settings.toml, key 'modl': unknown\nhint: did you mean 'model'?"),
        ("seed = 'x'", {}, "key 'seed': must be an integer or 'random', not 'x'"),
        ("threads = [", {}, "settings.toml: "),
        ("", {"DLM_THREADS": "0"}, "DLM_THREADS: must be greater than or equal to 1"),
        ("", {"DLM_LOG_LEVEL": "loud"}, "DLM_LOG_LEVEL: must be 'debug', 'info', "),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named_with_its_place(
    run_cli, file, monkeypatch, text, variables, message
):
    file(text)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    run = run_cli("models", "list")
    assert run.code == 2 and run.err.startswith("error: ") and message in run.err


def test_a_file_that_is_named_must_be_there(run_cli, tmp_path, monkeypatch):
    monkeypatch.setenv("DLM_SETTINGS", str(tmp_path / "none.toml"))
    assert run_cli("models", "list").code == 3


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ([], ["note", "warning: care"]),
        (["--log-level", "debug"], ["debug: detail", "note", "warning: care"]),
        (["--log-level", "warning"], ["warning: care"]),
        (["--quiet"], []),
    ],
)
def test_levels(capsys, run_cli, before, told):
    """What the packages log and what the commands say themselves are told alike."""
    assert run_cli(*before, "models", "list").code == 0
    capsys.readouterr()
    logging.getLogger("dlm.core").debug("detail")
    output.stderr("note")
    logging.getLogger("dlm").warning("care")
    assert capsys.readouterr().err.splitlines() == told


def test_an_unknown_level_is_a_usage_error(run_cli):
    run = run_cli("--log-level", "loud", "models", "list")
    assert run.code == 2 and "option '--log-level': must be 'debug'" in run.err


@pytest.mark.parametrize(
    "command",
    [
        "models list", "models show", "controls list", "controls show semantic", "controls show mr",
        "selectors list", "plugins list", "env", "verify 'A pub.' -c length:2 -c avoid:pub",
    ],
)  # fmt: skip
def test_tables_fit_eighty_columns(run_cli, monkeypatch, command):
    import shlex

    monkeypatch.setattr(output, "terminal_columns", lambda: 80)
    out = run_cli(*shlex.split(command)).out.partition("\ncard (")[0]
    assert out and max(map(len, out.splitlines())) <= 80


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals on this system")
def test_no_color(monkeypatch):
    """On a terminal help has colours, but not where NO_COLOR is set."""

    def shown(**variables):
        master, slave = os.openpty()
        environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        environment |= {"TERM": "xterm-256color", "COLUMNS": "80", **variables}
        command = [sys.executable, "-m", "dlm_cli", "--help"]
        subprocess.run(command, stdout=slave, stderr=slave, env=environment, timeout=60, check=True)
        os.close(slave)
        return os.read(master, 1 << 16)

    assert b"\x1b[3" in shown() or b"\x1b[1;3" in shown()
    assert b"\x1b[3" not in (plain := shown(NO_COLOR="1")) and b";3" not in plain
