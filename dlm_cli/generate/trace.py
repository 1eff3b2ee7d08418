"""`--trace FILE`: a run as one page of HTML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlm_cli.output import stderr
from dlm_cli.requests.recipes import Recipe
from dlm_cli.requests.typed import typed, typed_again
from dlm_core.errors import DLMError, UsageError
from dlm_core.view.page import page

if TYPE_CHECKING:
    from dlm_core.results import Result


def check_trace(path: Path, force: bool) -> None:
    """Refuse what could not be written at the end, or would be lost.

    Raises:
        UsageError: names the file.
    """
    if not path.parent.is_dir() or path.is_dir():
        raise UsageError(f"option '--trace': cannot write {path}", "a file in a folder that exists")
    if path.exists() and not force:
        raise UsageError(f"option '--trace': {path} exists", "--force writes it anew")


def write_trace(path: Path, asked: Recipe, made: Sequence[Result]) -> None:
    """Write the page of what was made.

    Raises:
        DLMError: it cannot be written.
    """
    asked = asked.anywhere()
    results = [result.view | {"command": typed_again(asked, result.seed)} for result in made]
    text = page({"results": results, "command": typed(asked)}, f"dlm, seed {asked.seed}")
    try:
        path.write_text(text, "utf-8", errors="replace")
    except OSError as error:
        raise DLMError(f"cannot write {path}: {error.strerror or error}") from error
    stderr(f"the steps are in {path}")
