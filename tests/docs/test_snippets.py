"""Every command and program that the pages show runs, or is named in `NOT_RUN` with a reason."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from dlm_cli.__main__ import main
from tests.conftest import TEXTS
from tests.docs.snippets import MARKED, NOT_RUN, PAGES, ROOT, Block, Line, blocks, lines

SHELL = [block for page in PAGES for block in blocks(page) if block.language == "sh"]
PYTHON = [block for page in PAGES for block in blocks(page) if block.language == "python"]
COMMANDS = [line for block in SHELL for line in lines(block)]
SHOWING = sorted({b.page for b in SHELL if any(not line.reason for line in lines(b))})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout as far as the pages use it, with the files that a reader would have."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    texts = [text.replace("The Mill", name) for text in TEXTS for name in ("Aromi", "Zizzi")]
    (tmp_path / "mine.txt").write_text("\n".join(texts), encoding="utf-8")
    (tmp_path / "mine.toml").write_text("min_count = 0\n", encoding="utf-8")
    shutil.copy(ROOT / "examples/recipes/tiny.jsonl", tmp_path / "mine.jsonl")
    text = "The Mill is a cheap pub near Burger King in riverside ."
    (tmp_path / "theirs.txt").write_text(f"{text}\n" * 2, encoding="utf-8")
    request = '{"id": %d, "controls": ["length:12"]}\n'
    (tmp_path / "targets.jsonl").write_text(request % 1 + request % 2, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", SHOWING, ids=lambda p: p.stem)
def test_the_commands_of_a_page_run(
    page: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In their order, in one folder; what a page shows of the output is what comes."""
    done: set[Line] = set()
    for block in blocks(page):
        for line in lines(block) if block.language == "sh" else ():
            if line.reason or line in done:
                continue
            done.add(line)
            assert line.words[0] == "dlm", f"{block}: '{line.source}' is neither run nor named"
            capsys.readouterr()
            code = main(list(line.words[1:]))
            out, told = capsys.readouterr()
            if line.shown is None:
                assert code == 0, f"{block}: {line.source}\n{told}"
            else:
                assert out.rstrip() == line.shown.rstrip(), block
            if line.into:
                (folder / line.into).write_text(out, encoding="utf-8")


@pytest.mark.parametrize(
    "line", [c for c in COMMANDS if c.reason and c.words[0] == "dlm"], ids=lambda c: c.source
)
def test_the_options_of_a_command_that_is_not_run_exist(
    line: Line, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--help` behind a command keeps it from running, not its options from being read."""
    assert main([*line.words[1:], "--help"]) == 0, capsys.readouterr().err
    assert main([*line.words[1:], "--no-such-option", "--help"]) == 2


def test_the_files_of_programs_that_are_not_run_exist() -> None:
    sources = [line.source for line in COMMANDS]
    files = {f for s in sources for f in re.findall(r"^python (benchmarks/\S+)", s)}
    modules = {m for s in sources for m in re.findall(r"^python -m (benchmarks\S+)", s)}
    files |= {module.replace(".", "/") for module in modules}
    assert len(files) >= 5
    for file in files:
        assert (ROOT / file).exists() or (ROOT / f"{file}.py").exists(), file


@pytest.mark.parametrize("pattern", NOT_RUN)
def test_each_reason_is_of_a_command(pattern: str) -> None:
    assert any(re.match(pattern, line.source) for line in COMMANDS)


@pytest.mark.slow
@pytest.mark.parametrize("block", [b for b in PYTHON if not b.mark], ids=str)
def test_a_program_runs(block: Block, folder: Path) -> None:
    exec(compile(block.code, str(block), "exec"), {"__name__": "page"})


def test_marks_are_known() -> None:
    """A program that is not run says by its mark where it is held against what runs."""
    assert {b.mark for b in PYTHON} == {"", *MARKED}
