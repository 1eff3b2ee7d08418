"""`run_cli` calls `main(argv)` in this process and gives the exit code, stdout and stderr."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dlm_cli.__main__ import main
from dlm_core.bundle import EMBEDDED, Model


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


RunCli = Callable[..., Run]


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> RunCli:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("DLM_DEBUG", raising=False)

    def run(*argv: object) -> Run:
        capsys.readouterr()
        code = main([str(word) for word in argv])
        streams = capsys.readouterr()
        return Run(code, streams.out, streams.err)

    return run


@pytest.fixture
def make(run_cli: RunCli, tiny_model: Model) -> RunCli:
    """`dlm generate` on the tiny model, in few steps."""

    def run(*argv: object) -> Run:
        return run_cli(
            "generate", "-m", tiny_model.info.path, "--steps", 4, "--device", "cpu", *argv
        )

    return run


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the embedded bundle, to be broken."""
    return Path(shutil.copytree(EMBEDDED / "e2e", tmp_path / "bundle"))


@pytest.fixture
def broken_plugin(tmp_path: Path) -> Path:
    path = tmp_path / "broken.py"
    path.write_text("print('noise on stdout')\nimport not_there\n")
    return path


@pytest.fixture
def keyword_plugin(tmp_path: Path) -> Path:
    """A control whose verdict asks for a package that is not there."""
    path = tmp_path / "keyword_file.py"
    path.write_text(
        "from dlm_core import ControlSpec, MissingError, hookimpl\n"
        "class Word(ControlSpec):\n"
        "    '''Say a word.'''\n"
        "    kind = 'word'\n"
        "    positional = ('text',)\n"
        "    examples = ('word:pub',)\n"
        "    text: str\n"
        "    def build(self, context):\n"
        "        i = context.vocab.id(self.text)\n"
        "        return context.control(lambda s: s.token_log_probs[..., i].amax(-1))\n"
        "    def verify(self, text):\n"
        "        raise MissingError('judge is not installed', 'pip install judge')\n"
        "@hookimpl\n"
        "def dlm_register_controls(register):\n"
        "    register(Word)\n"
    )
    return path
