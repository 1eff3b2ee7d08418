"""The Python that the pages show passes `mypy --strict`, and what they say of processes holds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FRAGMENTS = {"opening", "readability", "fragment"}
"""Words behind ```python that mark a part of a file, which does not stand alone."""


def blocks(page: Path) -> list[tuple[str, str]]:
    """(mark, code) of each Python block."""
    return re.findall(r"^```python *(\w*)\n(.*?)^```", page.read_text("utf-8"), re.S | re.M)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "MYPYPATH": str(ROOT), "OMP_NUM_THREADS": "2"}


@pytest.mark.slow
def test_every_block_passes_mypy_strict(tmp_path: Path) -> None:
    """As a user has it: in a file of its own, outside of the checkout, without our plugins."""
    pytest.importorskip("mypy")
    files = []
    for page in PAGES:
        for number, (mark, code) in enumerate(blocks(page)):
            assert page.name != "README.md" or not mark, "the README shows whole programs"
            if mark not in FRAGMENTS:
                files.append(tmp_path / f"{page.stem}_{number}.py".replace("-", "_"))
                files[-1].write_text(code, encoding="utf-8")
    more = tmp_path / "more.py"
    more.write_text(
        "import dlm_core as dlm\n"
        "from dlm_controls import Infill, Keyword, Length, Pos, Semantic, Span\n"
        "asked = sum([Length(5), Semantic(food='Italian')])\n"
        "texts = [r.text for r in dlm.generate('e2e', asked, sampling={'steps': 2})]\n"
        "asked_too = ['length:5', Keyword(['a', 'b']), 2 * Pos('DET NOUN')]\n"
        "dlm.generate('e2e', asked_too, select='mbr')\n"
        "controls = ~Span(0, 1, 'NP') + Infill(left='a', words=3) + 'length:5'\n"
        "n: int = Length(5).words\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-incremental"]
    found = subprocess.run(
        [*command, *map(str, files), str(more)],
        cwd=tmp_path, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert len(files) >= 4
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.slow
def test_a_wrong_argument_fails_mypy(tmp_path: Path) -> None:
    path = tmp_path / "wrong.py"
    path.write_text("from dlm_controls import Length\nLength('x')\nLength(5, until=7)\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-incremental"]
    found = subprocess.run(
        [*command, str(path)], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert 'Argument 1 to "Length" has incompatible type "str"' in found.stdout
    assert 'Unexpected keyword argument "until"' in found.stdout


@pytest.mark.slow
def test_workers_that_are_spawned_make_the_same_texts(tmp_path: Path) -> None:
    """The example of "Servers and processes", with two threads, as it stands there."""
    (code,) = [code for mark, code in blocks(ROOT / "docs/python.md") if mark == "spawn"]
    path = tmp_path / "workers.py"
    path.write_text(code, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, str(path)],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert run.stdout == "True 2\n", run.stderr


FORKED = """
import os
import dlm_core as dlm
import torch

torch.set_num_threads(1)
texts = [r.text for r in dlm.generate("e2e", "length:8", n=2, sampling={"steps": 3})]
child = os.fork()
if child == 0:
    again = [r.text for r in dlm.generate("e2e", "length:8", n=2, sampling={"steps": 3})]
    os._exit(0 if again == texts else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_with_one_thread_goes_on(tmp_path: Path) -> None:
    (tmp_path / "forked.py").write_text(FORKED, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, str(tmp_path / "forked.py")],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert run.stdout == "0\n", run.stderr
