"""What is loaded on first use can be used first by several threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIRST_USE = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from dlm_controls import {control}

start = Barrier(4)

def verdict(_):
    start.wait()
    return {control}({arguments}).verify("The pub is cheap .").satisfied

with ThreadPoolExecutor(4) as pool:
    print(list(pool.map(verdict, range(4))))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("control", "arguments", "package"),
    [("Span", '0, 1, "NP"', "benepar"), ("Pos", '"DET NOUN ..."', "spacy")],
)
def test_the_first_use_from_four_threads(
    control: str, arguments: str, package: str, tmp_path: Path
) -> None:
    pytest.importorskip(package)
    if control == "Span" and not os.environ.get("DLM_PARSER"):
        pytest.skip("DLM_PARSER names no parser")
    code = FIRST_USE.format(control=control, arguments=arguments)
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert run.stdout.strip().endswith("[True, True, True, True]"), run.stderr
