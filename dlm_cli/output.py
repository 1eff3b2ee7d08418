"""What goes to the user: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import textwrap
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlm_cli.words import printable
from dlm_core.errors import UsageError

if TYPE_CHECKING:
    from tqdm import tqdm

LEVELS = ("debug", "info", "warning", "error")
"""How much is told, most first: `info` is what a command says of its work, `error` is quiet."""
_LOG = logging.getLogger("dlm")


class _Teller(logging.Handler):
    """Tells what the packages log as the commands tell theirs."""

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        _say(
            message if record.levelno == logging.INFO else f"{record.levelname.lower()}: {message}"
        )


def set_level(name: str) -> None:
    """Tell what is as grave as this, or graver; bars go with `info`."""
    _LOG.setLevel(name.upper())
    if not _LOG.handlers:
        _LOG.addHandler(_Teller())
    if name != "debug" and not (_tells(logging.INFO) and sys.stderr.isatty()):
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # huggingface_hub's own


def _tells(level: int) -> bool:
    return _LOG.isEnabledFor(level)


def be_quiet(wanted: bool = True) -> bool:
    """Say nothing on stderr but errors; also the callback of `--quiet`."""
    if wanted:
        set_level("error")
    return wanted


def stderr(message: str) -> None:
    """One line for the person; never part of the results."""
    if _tells(logging.INFO):
        _say(message)


def warn(message: str, hint: str | None = None) -> None:
    """Something the person should know that stops nothing."""
    if _tells(logging.WARNING):
        _say(f"warning: {message}")
        if hint:
            _say(f"hint: {hint}")


def tell_error(message: str, hint: str | None = None, trace: bool = False) -> None:
    """An error and what to try next; with the traceback of what is being handled if asked for."""
    if trace or os.environ.get("DLM_DEBUG") == "1":
        _say(traceback.format_exc().rstrip("\n"))
    _say(f"error: {message}")
    if hint:
        _say(f"hint: {hint}")


def _say(message: str) -> None:
    with suppress(OSError, ValueError):  # nobody listens: no reason to stop
        print(printable(message), file=sys.stderr, flush=True)


def utf8_stdout() -> None:
    """JSON on stdout is UTF-8 whatever the terminal or pipe has; half a pair is escaped."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def print_json(value: Any) -> None:
    """A value as readable JSON on stdout."""
    utf8_stdout()
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=str))


def print_table(rows: Sequence[Sequence[object]], header: Sequence[str] = ()) -> None:
    """Rows in aligned columns on stdout; on a terminal folded to its width."""
    lines = [[str(cell) for cell in row] for row in ([header] if header else []) + list(rows)]
    lines = [[printable(cell) for cell in line] for line in lines]
    for line in _table(lines, terminal_columns()):
        print(line)


def terminal_columns() -> int | None:
    """How wide the terminal is that stdout is; None if it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _table(lines: Sequence[Sequence[str]], room: int | None) -> list[str]:
    """Aligned columns; with `room`, the last folded, and the widest others where it needs place."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    if room is not None:
        excess = sum(widths) + 2 * (len(widths) - 1) - room
        for index in sorted(range(len(widths)), key=lambda i: -i):
            cut = max(0, min(excess, widths[index] - max(12, room // len(widths) - 2)))
            widths[index] -= cut
            excess -= cut
    folded = []
    for line in lines:
        cells = [_fold(cell, width) for cell, width in zip(line, widths, strict=True)]
        for k in range(max(map(len, cells))):
            parts = [cell[k] if k < len(cell) else "" for cell in cells]
            padded = (part.ljust(width) for part, width in zip(parts, widths, strict=True))
            folded.append("  ".join(padded).rstrip())
    return folded


def _fold(cell: str, width: int) -> list[str]:
    if len(cell) <= width:
        return [cell]
    return textwrap.wrap(cell, width, break_on_hyphens=False) or [""]


def progress_bar(name: str, total: int | None, hidden: bool = False) -> tqdm[None]:
    """A bar with ETA on a terminal; elsewhere a line on stderr every half minute."""
    from dlm_cli.progress import make_bar

    return make_bar(name, total, hidden or not _tells(logging.INFO), stderr)


def require_folder(path: Path, option: str) -> None:
    """Check that the folder `path` is there or can be made, before a long run needs it.

    Raises:
        UsageError: it cannot be made or written into.
    """
    import tempfile

    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise UsageError(
            f"option '{option}': cannot write into {path} ({error.strerror or error})",
            "choose a folder you may write into",
        ) from error


def pick_device(name: str) -> str:
    """`auto` is cuda, then mps, then cpu; anything else must be usable. Sets the threads, too.

    Raises:
        UsageError: no such device here.
    """
    import torch

    from dlm_cli.settings import settings

    if (threads := settings().threads) is not None:
        torch.set_num_threads(threads)
    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        if reason.startswith("Expected one of"):  # followed by every device torch ever had
            reason = "no such device"
        raise UsageError(
            f"option '--device': '{name}' cannot be used here ({reason})",
            "auto, cpu, cuda, cuda:1 or mps",
        ) from error
    return name
