"""The code that the README and the tutorial show is code that runs."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import dlm_core as dlm
from dlm_cli.plugins.commands import app as plugins_app
from dlm_cli.plugins.new import write
from dlm_core.plugins import hooks as hookspecs
from dlm_core.plugins.hooks import HOOKS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "plugins_example"
MODULES = (
    "dlm-control-readability/dlm_control_readability/__init__.py",
    "dlm-control-readability/dlm_control_readability/head.py",
    "dlm-selector-diverse/dlm_selector_diverse.py",
)


def blocks(page: str, language: str) -> list[str]:
    """The fenced code blocks of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.S | re.M)


@pytest.mark.parametrize("name", ["opening", "readability"])
def test_the_tutorial_shows_the_code_word_for_word(name: str, tmp_path: Path) -> None:
    """What it shows is what `dlm plugins new opening` writes, and the readability plugin."""
    folder = write(name, tmp_path) if name == "opening" else EXAMPLES / f"dlm-control-{name}"
    files = [p for p in sorted(folder.rglob("*")) if p.suffix in (".py", ".toml")]
    source = "".join(path.read_text("utf-8") for path in files)
    shown = [
        b
        for lang in ("python", "toml")
        for b in blocks("docs/write-a-control.md", f"{lang} {name}")
    ]
    assert len(shown) >= 5
    assert [block for block in shown if block not in source] == []


def test_the_reference_has_every_hook_with_its_arguments() -> None:
    page = (ROOT / "docs/plugins.md").read_text("utf-8")
    shown = re.findall(r"^### `(dlm_\w+\(.*\))`$", page, re.M)
    arguments = {name: inspect.signature(getattr(hookspecs, name)).parameters for name in HOOKS}
    assert sorted(shown) == [f"{name}({', '.join(arguments[name])})" for name in HOOKS]
    (example,) = blocks("docs/plugins.md", "python fragment")
    assert example in (EXAMPLES / MODULES[0]).read_text("utf-8")
    commands = {f"dlm plugins {c.name}" for c in plugins_app.registered_commands}
    assert commands == {
        " ".join(c.split()[:3]) for c in re.findall(r"^\| `(dlm plugins .*?)`", page, re.M)
    }


@pytest.mark.parametrize("module", MODULES)
def test_the_plugins_use_published_names_only(module: str) -> None:
    tree = ast.parse((EXAMPLES / module).read_text("utf-8"))
    modules = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    modules += [n.module or "" for n in imports]
    own = Path(module).parts[1].removesuffix(".py")
    assert {m for m in modules if m.startswith("dlm") and not m.startswith(own)} == {"dlm_core"}
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
    text = " ".join((ROOT / page).read_text("utf-8").split()).replace(r"\|", "|")  # in tables
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
