"""What the site has beside the pages of docs/: files that they link to, and a page a command.

A link that leaves docs/ leads to `project/PATH`: a page as it is, a folder by its README or as a
list, a notebook with its outputs, another file in a frame. So each text stands in one place.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:)([^)#\s]+)")
ALSO = (
    "CHANGELOG.md", "CONTRIBUTING.md", "README.md", "examples/tour.ipynb", "website/site.css",
    "dlm_core/models/e2e/README.md", "dlm_core/models/everyday/README.md",
)  # fmt: skip
ASIS = (".css", ".png")
LANGUAGES = {".py": "python", ".toml": "toml", ".cff": "yaml"}
commands: dict[str, str] = {}
"""Page by address, made once a build."""


def on_config(config: MkDocsConfig) -> None:
    """Put a page for each command behind the one on `dlm` itself."""
    commands.update(command_pages())
    for section in config.nav or []:
        if "Command line" in section:
            section["Command line"] += sorted(commands.keys() - {"cli/index.md"})


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add what the pages lead to, and what that leads to."""
    for uri, text in commands.items():
        files.append(File.generated(config, uri, content=text))
    todo = [*DOCS.glob("*.md"), *(ROOT / path for path in ALSO)]
    done: set[str] = set()
    while todo:
        path = todo.pop()
        uri = site_uri(path)
        if uri in done:
            continue
        done.add(uri)
        if path.suffix in ASIS and path.parent != DOCS:
            files.append(File.generated(config, uri, abs_src_path=str(path)))
        elif path.suffix not in ASIS:
            text = source(path)
            todo += targets(text, path)
            if path.parent != DOCS:
                files.append(File.generated(config, uri, content=moved(text, path)))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to where things are in the site; drop the words behind a block's language."""
    path = DOCS / page.file.src_uri
    text = moved(markdown, path) if path.exists() else markdown
    return re.sub(r"^```(\w+) \w+$", r"```\1", text, flags=re.M)


def site_uri(path: Path) -> str:
    """Where a file or folder of the repository stands in the site."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    if path.is_dir():
        path /= "README.md"
    name = path.relative_to(ROOT).as_posix()
    return f"project/{name}" + ("" if path.suffix in (".md", *ASIS) else ".md")


def source(path: Path) -> str:
    """The file as a page."""
    if path.is_dir():
        names = sorted(p.name for p in path.iterdir() if p.name[0] not in "._")
        lines = [f"- [{name}]({path.name}/{name})" for name in names]
        return "\n".join([f"# {path.name}\n", *lines])
    text = path.read_text("utf-8")
    if path.suffix == ".ipynb":
        return "\n\n".join(cells(text))
    if path.suffix == ".md":
        return text
    return f"# {path.name}\n\n```{LANGUAGES.get(path.suffix, '')}\n{text}```\n"


def cells(notebook: str) -> Iterator[str]:
    """The cells of a notebook as Markdown, with what they gave."""
    for cell in json.loads(notebook)["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield text
            continue
        yield f"```python\n{text}\n```"
        for output in cell["outputs"]:
            data = output.get("data", {"text/plain": output.get("text", [])})
            if "text/html" in data:
                yield "".join(data["text/html"])
            else:
                yield "```text\n" + "".join(data["text/plain"]) + "\n```"


def targets(text: str, path: Path) -> list[Path]:
    """The files and folders of the repository that a page links to."""
    found = [(path.parent / link).resolve() for link in LINK.findall(text)]
    inside = [target for target in found if target.exists() and target.is_relative_to(ROOT)]
    return [readme if (readme := t / "README.md").exists() else t for t in inside]


def moved(text: str, path: Path) -> str:
    """The page with its links as they are in the site."""
    here = os.path.dirname(site_uri(path))

    def lead(link: re.Match[str]) -> str:
        found = targets(f"]({link[0]})", path)
        return os.path.relpath(site_uri(found[0]), here or ".") if found else link[0]

    return LINK.sub(lead, text)


def command_pages() -> dict[str, str]:
    """Page by address: what Typer's `utils docs` writes of the app, cut at its commands."""
    made = subprocess.run(
        [sys.executable, "-m", "typer", "website/cli.py", "utils", "docs", "--name", "dlm"],
        cwd=ROOT, check=True, capture_output=True, text=True,
        env={**os.environ, "DLM_PLUGINS": "off", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    text = re.sub(r"^Examples\n((?:  .*\n)+)", shown_as_shell, made.stdout, flags=re.M)
    summaries = dict(re.findall(r"^#+ `(dlm .+)`\n\n(.+)$", text, flags=re.M))
    pages = {}
    for page in re.split(r"^(?=## )", text, flags=re.M):
        name = page.split("`")[1]
        for word in re.findall(r"^\* `(\w+)`: .*\.\.\.$", page, flags=re.M):  # cut by Typer
            line = f"* `{word}`: {summaries[f'{name} {word}']}"
            page = re.sub(rf"^\* `{word}`: .*$", lambda _, line=line: line, page, flags=re.M)
        address = name.removeprefix("dlm").strip() or "index"
        pages[f"cli/{address}.md"] = re.sub("^#(?=#+ )", "", page, flags=re.M)
    first = pages["cli/index.md"]
    pages["cli/index.md"] = re.sub(r"^\* `(\w+)`:", r"* [`\1`](\1.md):", first, flags=re.M)
    return pages


def shown_as_shell(examples: re.Match[str]) -> str:
    """The examples below a command's help as a block that can be copied."""
    return f"**Examples**:\n\n```sh\n{dedent(examples[1])}```\n"
