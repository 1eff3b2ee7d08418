"""The commands and programs that pages show, and which of them no test runs, and why."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SHELL = re.compile(r"(\$ |[A-Z_]+=\S+ )*(dlm|python|pip|docker|uv|accelerate|hf) ")

NOT_RUN = {
    r"pip install": "installs; .ci/run runs the README's lines",
    r"python -m venv|\. \.venv|pytest|ruff|mypy|lint-imports": "the checks themselves; .ci/run",
    r"dlm train (all|init|lm|writer|teacher|control (semantic|pos|tree)) ": (
        "minutes to hours; tests/cli trains tiny ones"
    ),
    r"dlm train control classify .*labelled\.jsonl": "as in the tutorial, where it is run",
    r"dlm (generate .*(--model|-m) my-model|generate --head pos=)": "of a head trained above",
    r"dlm (evaluate|score|nll) .*(TEACHER|MODEL|e2e:|report\.json)": (
        "a teacher trained for an hour; tests/cli and tests/evaluation measure with tiny ones"
    ),
    r"dlm generate -n 20 -c": "twenty texts of four drafts each; the tutorial chooses among three",
    r"python benchmarks/|python -m benchmarks\.|cp |export DLM_": (
        "minutes to hours, on data that no clone has; tests/benchmarks runs them smaller"
    ),
    r"python -c .import benepar": "downloads",
    r"dlm (controls show semantic --model mine|generate --model mine -c .semantic:colour)": (
        "of fields learnt above; tests/controls/test_learned.py learns some"
    ),
    r"python examples/(augment|finetune)\.py|pip install accelerate gguf": (
        "samples and learns for long; tests/benchmarks/test_augment.py has few"
    ),
    r"dlm serve|docker ": "serves until it is stopped; tests/serve and tests/cli/test_cli_serve.py",
    r"accelerate launch|torchrun": "several processes; tests/cli/test_share.py starts two",
    r"hf auth|dlm (models (push|pull)|generate -m me/)|dlm models card mine": (
        "speaks with the hub, or of a model that is there; tests/hub has a hub of its own"
    ),
    r"python -m build|twine|cd dlm-control": (
        "publishes; the example distributions are built in tests/plugins_example"
    ),
}
"""How a command begins -> why it is not run. Its options are checked all the same."""

MARKED = {
    "opening": "a part of what `dlm plugins new opening` writes: test_tutorial.py",
    "readability": "a part of dlm-control-readability: test_tutorial.py",
    "fragment": "a part of a file of plugins_example: test_tutorial.py",
    "spawn": "run as a file of its own: test_pages.py",
    "client": "speaks with a server: tests/serve/test_completions.py",
}
"""Word behind ```python -> where the block is held against what runs."""


@dataclass(frozen=True)
class Block:
    """A block of code: of what language, with which mark, and where."""

    page: Path
    line: int
    language: str
    mark: str
    code: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Every block of a page; indented ones are of the shell if they begin as commands do."""
    for token in MarkdownIt().parse(page.read_text("utf-8")):
        if token.type in ("fence", "code_block") and token.map:
            language, _, mark = token.info.strip().partition(" ")
            if token.type == "code_block" and SHELL.match(token.content):
                language = "sh"
            yield Block(page, token.map[0] + 1, language, mark, token.content)


@dataclass(frozen=True)
class Line:
    """A command: its words, the file that `>` names, and the output that the page shows."""

    words: tuple[str, ...]
    into: str | None
    shown: str | None

    @property
    def source(self) -> str:
        """As typed, with quotes where a shell wants them."""
        return shlex.join(self.words)

    @property
    def reason(self) -> str | None:
        """Why it is not run; None where it is."""
        found = [why for what, why in NOT_RUN.items() if re.match(what, self.source)]
        return found[0] if found else None


def lines(block: Block) -> Iterator[Line]:
    """The commands of a block of the shell: `a && b` and `a; b` are two; `$ a` shows its output."""
    if block.code.startswith("$ "):
        command, _, shown = block.code[2:].partition("\n")
        yield line(shlex.split(command), shown)
        return
    for text in block.code.replace("\\\n", " ").splitlines():
        code = re.sub(r"(?:^|\s)#.*", "", text)
        lexer = shlex.shlex(code, posix=True, punctuation_chars=";&|>")
        lexer.whitespace_split, lexer.commenters = True, ""
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word not in (";", "&&"):
                words.append(word)
            elif words:
                yield line(words)
                words = []


def line(words: list[str], shown: str | None = None) -> Line:
    """One command, without the variables before it."""
    first = next(i for i, word in enumerate(words) if not re.match(r"[A-Z_]+=", word))
    end = words.index(">") if ">" in words else len(words)
    into = words[end + 1] if end < len(words) else None
    return Line(tuple(words[first:end]), into, shown)
