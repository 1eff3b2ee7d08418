"""The house stays one that a stranger finds their way in: short files, short functions."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = [p for name in ("dlm_core", "dlm_controls", "dlm_cli") for p in (ROOT / name).rglob("*.py")]
LINES, FUNCTION = 400, 60


def test_no_file_is_long() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text("utf-8").splitlines()) for p in FILES}
    assert len(lengths) > 100
    assert {name: n for name, n in lengths.items() if n > LINES} == {}


def test_no_function_is_long() -> None:
    lengths = {
        f"{path.relative_to(ROOT)}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert len(lengths) > 500
    assert {name: n for name, n in lengths.items() if n > FUNCTION} == {}


def test_every_room_says_what_it_is_for() -> None:
    for path in FILES:
        assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), path
