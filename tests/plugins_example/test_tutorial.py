"""The code that the README and the tutorial show is code that runs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import dlm_core as dlm

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "plugins_example" / "dlm-control-keyword"


def blocks(page: str, language: str) -> list[str]:
    """The fenced code blocks of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.S | re.M)


def test_the_tutorial_shows_the_plugin_word_for_word() -> None:
    files = ("dlm_control_keyword.py", "pyproject.toml", "tests/test_keyword.py")
    source = "".join((PLUGIN / name).read_text("utf-8") for name in files)
    shown = [b for lang in ("python", "toml") for b in blocks("docs/write-a-control.md", lang)]
    assert shown
    assert [block for block in shown if block not in source] == []


def test_the_plugin_uses_published_names_only() -> None:
    tree = ast.parse((PLUGIN / "dlm_control_keyword.py").read_text("utf-8"))
    modules = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    modules += [n.module or "" for n in imports]
    assert {m for m in modules if m.startswith("dlm")} == {"dlm_core"}
    used = {a.name for n in imports if n.module == "dlm_core" for a in n.names}
    assert used <= set(dlm.__all__)


def test_the_plugin_of_the_readme(tmp_path: Path) -> None:
    (source,) = [b for b in blocks("README.md", "python") if "ControlSpec" in b]
    path = tmp_path / "without.py"
    path.write_text(source, encoding="utf-8")
    plugins = dlm.load_plugins([path])
    assert plugins.failures == []
    term = dlm.parse_spec("without:is", plugins.controls)
    sampling = dlm.SamplingConfig(steps=10)
    plain = dlm.generate("e2e", n=4, sampling=sampling, plugins=plugins)
    steered = dlm.generate("e2e", term.spec, n=4, sampling=sampling, plugins=plugins)
    assert any("is" in result.tokens for result in plain)
    assert not any("is" in result.tokens for result in steered)
    assert all(result.satisfied for result in steered)


def test_the_quick_start_is_two_lines() -> None:
    lines = blocks("README.md", "sh")[0].splitlines()
    assert [line.split(" && ")[0] for line in lines] == [
        'pip install -c constraints.txt ".[pos]"',
        'pip install -c constraints.txt ".[test]"',
    ]
    assert lines[1].endswith(" && pytest")


@pytest.mark.parametrize("page", ["README.md", "docs/controls.md"])
def test_the_controls_shown_can_be_asked_for(page: str) -> None:
    text = " ".join((ROOT / page).read_text("utf-8").split())
    specs = re.findall(r"`((?:semantic|pos|pattern|keyword|avoid|length|infill):[^`]+)`", text)
    grammar = r"FIELD|TEXT|TAG|ITEM|PHRASE|\bN\b"
    specs = [s for s in specs if not re.search(grammar, s)]
    assert len(specs) >= 7
    kinds, info = dlm.load_plugins().controls, dlm.ModelInfo.read("e2e")
    for spec in specs:
        dlm.Controls((dlm.parse_spec(spec, kinds),)).check(info)


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.name)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text("utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []
