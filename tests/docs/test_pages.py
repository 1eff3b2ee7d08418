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


MORE = """
import dlm_core as dlm
from dlm_controls import Infill, Keyword, Length, Pos, Semantic, Span
asked = sum([Length(5), Semantic(food="Italian")])
texts = [r.text for r in dlm.generate("e2e", asked, sampling={"steps": 2})]
dlm.generate("e2e", ["length:5", Keyword(["a", "b"]), 2 * Pos("DET NOUN")], select="mbr")
controls = ~Span(0, 1, "NP") + Infill(left="a", words=3) + "length:5"
n: int = Length(5).words
"""
WRONG = """
from dlm_controls import Length
Length("x")
Length(5, until=7)
"""
SETTINGS = """
[mypy]
strict = True
[mypy-torch.*,openai.*]
follow_imports = skip
[mypy-dlm_core.*,dlm_controls.*]
follow_imports = silent
"""


@pytest.mark.slow
def test_every_block_passes_mypy_strict(tmp_path: Path) -> None:
    """As a user has it: in a file of its own, outside of the checkout, without our settings.

    torch and openai are left out, which take minutes to read and have no part in these pages.
    """
    pytest.importorskip("mypy")
    files = {"more.py": MORE, "wrong.py": WRONG}
    for page in PAGES:
        for number, (mark, code) in enumerate(blocks(page)):
            assert page.name != "README.md" or not mark, "the README shows whole programs"
            if mark not in FRAGMENTS:
                files[f"{page.stem}_{number}.py".replace("-", "_")] = code
    assert len(files) >= 6
    for name, code in {**files, "mypy.ini": SETTINGS}.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    found = subprocess.run(
        [sys.executable, "-m", "mypy", *files],
        cwd=tmp_path, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    errors = [line for line in found.stdout.splitlines() if ": error:" in line]
    assert [line for line in errors if not line.startswith("wrong.py")] == []
    assert 'Argument 1 to "Length" has incompatible type "str"' in errors[0]
    assert 'Unexpected keyword argument "until"' in errors[1]


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
