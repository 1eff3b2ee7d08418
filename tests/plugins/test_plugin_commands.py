"""Commands of plugins: found by `dlm`, named by their distribution, faults isolated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from dlm_cli import app as cli
from dlm_cli.__main__ import main
from dlm_cli.plugins.loading import add_commands
from dlm_core.plugins.loading import load_plugins

HELLO = """
from typing import Annotated
import typer
from dlm_core import UsageError, hookimpl

print("noise")
sub = typer.Typer(help="A group of two.")

@sub.command()
def one(): print("one")

@sub.command()
def two(): raise typer.Exit(7)

def hello(name: str, loud: Annotated[bool, typer.Option("--loud")] = False):
    "Greet somebody."
    if name == "nobody": raise UsageError("nobody is there", "name somebody")
    print(name.upper() if loud else name, 1 / len(name))

@hookimpl
def dlm_register_commands(app):
    app.command()(hello)
    app.add_typer(sub, name="numbers")
"""
HOOK = "from dlm_core import hookimpl\n@hookimpl\ndef dlm_register_commands(app):\n"
FAULTS = {
    "raises": ("    1 / 0\n", "ZeroDivisionError"),
    "exits": ("    raise SystemExit(3)\n", "SystemExit: 3"),
    "takes a name": (
        "    app.command('generate')(lambda: None)\n",
        "command 'generate' is already provided by dlm itself",
    ),
    "an option of two types": (
        "    @app.command()\n    def bad(x: int | str = 1): pass\n",
        "Union types",
    ),
}


@pytest.fixture
def hello(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "hello.py"
    path.write_text(HELLO)
    monkeypatch.setenv("DLM_PLUGINS", str(path))
    monkeypatch.setenv("COLUMNS", "200")
    return path


@pytest.mark.parametrize(
    ("line", "code", "out", "err"),
    [
        ("hello you", 0, "you 0.3333333333333333\n", "noise\n"),
        ("hello you --loud", 0, "YOU 0.3333333333333333\n", "noise\n"),
        ("hello nobody", 2, "", "error: nobody is there\nhint: name somebody\n"),
        ("hello", 2, "", "error: missing argument 'name'"),
        ("numbers one", 0, "one\n", "noise\n"),
        ("numbers two", 7, "", "noise\n"),
        ("numbers three", 2, "", "no such command 'three'"),
        ("helo you", 2, "", "did you mean 'hello'?"),
    ],
)
def test_commands_and_groups_run(
    line: str, code: int, out: str, err: str, hello: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) == code
    streams = capsys.readouterr()
    assert streams.out == out and err in streams.err


def test_a_command_that_raises_is_named(hello: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hello", ""]) == 5
    error = capsys.readouterr().err
    assert f"plugin 'hello' ({hello}) failed in the command hello: ZeroDivisionError" in error


def test_help_has_them_under_their_distribution(
    hello: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "Greet somebody." in out and "A group of two." in out
    assert f"─ {hello} "[:60] in out
    assert main(["hello", "-h"]) == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_leaves_the_rest(
    fault: str, hello: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    body, message = FAULTS[fault]
    path = tmp_path / "bad.py"
    path.write_text(HOOK + body)
    monkeypatch.setenv("DLM_PLUGINS", f"{path},{hello}")
    assert main(["numbers", "one"]) == 0
    streams = capsys.readouterr()
    assert streams.out == "one\n"
    assert f"warning: plugin 'bad' ({path}) skipped at commands: " in streams.err
    assert message in streams.err
    monkeypatch.setenv("DLM_STRICT_PLUGINS", "1")
    assert main(["numbers", "one"]) == 5
    assert main(["--help"]) == 0
    assert main(["plugins", "list"]) == 0


def test_of_two_that_want_one_command_the_later_is_left_out(hello: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text(HOOK + "    app.command('hello')(lambda: None)\n")
    plugins = load_plugins([other])
    app = typer.Typer()
    add_commands(app, plugins)
    (failure,) = plugins.failures
    assert failure.origin.name == "other"
    assert f"command 'hello' is already provided by {hello}" in failure.error
    assert plugins.origins["command", "numbers"].name == "hello"


def test_the_builtins_alone_are_not_loaded_for_help() -> None:
    """No plugin, no price: nothing of dlm_core.plugins is imported for `dlm --help`."""
    script = (
        "import sys\nfrom dlm_cli.__main__ import main\n"
        "assert main(['--help']) == 0\n"
        "assert 'dlm_core.plugins' not in sys.modules and 'pydantic' not in sys.modules\n"
        "assert main(['--version']) == 0\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_commands_are_loaded_without_torch(hello: Path) -> None:
    script = (
        "import sys\nfrom dlm_cli.__main__ import main\n"
        "assert main(['--help']) == 0\nassert main(['hello', 'you']) == 0\n"
        "assert main(['plugins', 'list']) == 0\nassert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_own_commands_do_not_load_plugins_for_their_commands(
    hello: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {c.name for c in cli.build(["models", "list"]).registered_commands}
    assert "hello" not in names
    assert "noise" not in capsys.readouterr().err
