"""Streams that are closed or of another encoding, `--quiet`, and tables on a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from dlm_cli.output import _table


@pytest.fixture
def shell(tiny_model, tmp_path):
    """A shell command; $G is `dlm generate` on the tiny model."""

    def run(command, **variables):
        generate = f"{sys.executable} -m dlm_cli generate -m {tiny_model.info.path} --steps 2"
        env = {**os.environ, "G": generate, "DLM": f"{sys.executable} -m dlm_cli", **variables}
        return subprocess.run(["bash", "-c", command], capture_output=True, env=env, cwd=tmp_path)

    return run


def test_a_closed_stderr_is_no_reason_to_stop(shell):
    done = shell("$G -n 2 -c length:5 2>&-; echo $?")
    *texts, code = done.stdout.decode().splitlines()
    assert code == "0" and [len(text.split()) for text in texts] == [5, 5]


def test_a_closed_stdout_is_told_unless_results_go_elsewhere(shell, tmp_path):
    done = shell("$G -n 1 >&-; echo $? >&2; $G -n 1 -o out.txt >&-; echo $? >&2")
    message = done.stderr.decode()
    assert message.startswith("error: stdout is closed") and "Traceback" not in message
    assert message.splitlines()[2] == "1" and message.splitlines()[-1] == "0"
    assert len((tmp_path / "out.txt").read_text().splitlines()) == 1
    done = shell("$G --requests - <&-; echo $?")
    assert done.stdout == b"3\n" and b"stdin is closed" in done.stderr


def test_a_stderr_that_nobody_reads_is_no_reason_to_stop(shell):
    done = shell("$G -n 1 -c length:5 2> >(true); echo $?")
    assert done.stdout.splitlines()[-1] == b"0" and len(done.stdout.splitlines()) == 2


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_json_is_utf_8_and_text_is_escaped_whatever_the_encoding(shell, tmp_path, encoding):
    (tmp_path / "rows.jsonl").write_text('{"text": "£ 20 – Café ✓"}\n', encoding="utf-8")
    select = "$DLM select rows.jsonl -s none"
    done = shell(f"{select} --format jsonl", PYTHONIOENCODING=encoding)
    assert json.loads(done.stdout.decode("utf-8"))["text"] == "£ 20 – Café ✓"
    done = shell(select, PYTHONIOENCODING=encoding)
    assert done.returncode == 0 and b"\\u2713" in done.stdout, done.stderr
    assert shell("$DLM models show e2e", PYTHONIOENCODING=encoding).returncode == 0


def test_arguments_of_a_locale_without_utf_8_are_read(shell):
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = shell("$DLM controls check 'keyword:£'", **plain)
    assert done.returncode == 0, done.stderr
    assert b"keyword:\\xa3" in done.stdout


@pytest.mark.parametrize("place", ["before", "behind"])
def test_quiet_says_errors_only(run_cli, tiny_model, place):
    generate = ("generate", "-m", tiny_model.info.path, "--steps", 2, "-n", 1, "--seed", "random")
    quiet = (lambda *more: run_cli("-q", *generate, *more)) if place == "before" else (
        lambda *more: run_cli(*generate, *more, "--quiet")
    )  # fmt: skip
    run = quiet("--eta", 0.5)
    assert run.code == 0 and len(run.lines) == 1 and run.err == ""
    run = quiet("-c", "lenght:5")
    assert run.code == 2 and run.err.startswith("error: unknown control 'lenght'")
    assert "seed: " in run_cli(*generate).err  # the next command speaks again


def test_a_table_keeps_to_the_terminal_and_is_whole_in_a_pipe(run_cli, monkeypatch):
    rows = [("KIND", "EXAMPLE", "DOES"), ("pos", 'pos:"A B"', "word " * 40), ("x" * 90, "y", "z")]
    for room in (80, 60):
        lines = _table(rows, room)
        assert max(map(len, lines)) <= room and len(lines) > 8
        assert "".join("".join(lines).split()).count("word") == 40
    whole = _table(rows, None)
    assert len(whole) == 3 and max(map(len, whole)) > 190
    for command in (("controls", "list"), ("selectors", "list"), ("plugins", "list")):
        monkeypatch.setenv("COLUMNS", "80")
        assert max(map(len, run_cli(*command).lines)) > 80
    fitting = [("a", "b"), ("c", "d e f")]
    assert _table(fitting, 80) == _table(fitting, None)


def test_a_terminal_of_no_width_has_eighty_columns(monkeypatch, capsys):
    from dlm_cli import output

    monkeypatch.setenv("COLUMNS", "0")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    output.print_table([("a", "word " * 40)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 2 and max(map(len, lines)) <= 80
