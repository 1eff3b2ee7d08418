"""The site builds without a warning; no link is broken; every command and name has its place."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import typer

import dlm_controls
import dlm_controls.selectors
import dlm_core as dlm
import dlm_core.testing
from dlm_cli.app import build
from dlm_core.plugins.hooks import HOOKS

ROOT = Path(__file__).resolve().parents[2]


class Html(HTMLParser):
    """What a page names and what it leads to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.words = ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value for key, value in attrs if value}
        self.ids |= {found[key] for key in ("id", "name") if key in found}
        self.links += [found[key] for key in ("href", "src") if key in found]
        if tag in ("script", "img") or found.get("rel") == "stylesheet":
            self.fetched += [found[key] for key in ("href", "src") if key in found]

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `.ci/run` does."""
    pytest.importorskip("mkdocs", reason='needs pip install ".[docs]"')
    out = tmp_path_factory.mktemp("site")
    made = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "-q", "--strict", "-d", str(out)],
        cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return out


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Html]:
    return {path: Html(path) for path in sorted(site.rglob("*.html"))}


@pytest.mark.slow
def test_no_link_is_broken_and_nothing_comes_from_elsewhere(pages: dict[Path, Html]) -> None:
    assert len(pages) > 40
    broken, foreign = [], []
    for path, page in pages.items():
        foreign += [(path, link) for link in page.fetched if urlsplit(link).netloc]
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or path.name == "404.html":  # which knows the address of the site only
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(parts.fragment)
            known = pages[target].ids if target in pages else {anchor}
            if not target.exists() or (anchor and anchor not in known):
                broken.append((path, link))
    assert broken == []
    assert foreign == []


def options(command: object, name: str) -> Iterator[tuple[str, str]]:
    """(name of a command, one of its options), of this and of all below it."""
    names = [o for parameter in command.params for o in parameter.opts]  # type: ignore[attr-defined]
    yield from ((name, option) for option in names if option.startswith("-"))
    for word, below in getattr(command, "commands", {}).items():
        yield from options(below, f"{name} {word}")


@pytest.mark.slow
def test_every_command_has_its_options_on_a_page(
    site: Path, pages: dict[Path, Html], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLM_PLUGINS", "off")
    found = list(options(typer.main.get_command(build()), "dlm"))
    assert len({command for command, _ in found}) >= 25
    for command, option in found:
        words = command.split()[1:2]
        page = pages[site.joinpath("cli", *words, "index.html")]
        text = page.words.partition(f"$ {command} ")[2] or page.words.partition(f"$ {command}")[2]
        assert option in text, (command, option)


@pytest.mark.slow
def test_every_name_and_hook_is_in_the_reference(site: Path, pages: dict[Path, Html]) -> None:
    ids = pages[site / "reference-python" / "index.html"].ids
    names = {f"dlm_core.{name}" for name in dlm.__all__ if name != "__version__"}
    names |= {f"dlm_controls.{name}" for name in dlm_controls.__all__}
    names |= {f"dlm_controls.selectors.{name}" for name in dlm_controls.selectors.__all__}
    names |= {f"dlm_core.plugins.hooks.{name}" for name in HOOKS}
    assert names - ids == set()


def public() -> Iterator[tuple[str, object]]:
    """Every exported class and function, with what a class has of its own."""
    for module in (dlm, dlm_controls, dlm_controls.selectors, dlm_core.testing):
        for name in getattr(module, "__all__", ("assert_control", "assert_selector")):
            thing = getattr(module, name)
            if not callable(thing):
                continue
            yield name, thing
            for word, member in vars(thing).items() if inspect.isclass(thing) else ():
                function = getattr(member, "__func__", member)
                if word[0] != "_" and (
                    inspect.isfunction(function) or isinstance(member, property)
                ):
                    yield f"{name}.{word}", member


@pytest.mark.parametrize(
    ("name", "thing"), list(public()), ids=lambda x: x if type(x) is str else ""
)
def test_what_is_exported_has_a_docstring(name: str, thing: object) -> None:
    assert (thing.__doc__ or "").strip(), name


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the kernel's own packages
def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its texts hold what is asked; what it shows of a judged text is what comes."""
    nbclient = pytest.importorskip("nbclient", reason='needs pip install ".[docs]"')
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    shown = nbformat.read(ROOT / "examples/tour.ipynb", 4)
    made = nbclient.NotebookClient(nbformat.from_dict(shown), timeout=600).execute()
    outputs = [cell.outputs for cell in made.cells if cell.cell_type == "code"]
    assert all(outputs)
    (composed,) = (o.text for out in outputs for o in out if "True" in o.get("text", "")[:4])
    assert [line[:5] for line in composed.splitlines()] == ["True "] * 4
    judged = [c.outputs for c in shown.cells if "dlm.verify" in c.source]
    assert [c.outputs[0].data for c in made.cells if "dlm.verify" in c.source] == [
        judged[0][0].data
    ]
