"""What goes to the user: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from dlm_core.errors import DLMError, UsageError

if TYPE_CHECKING:
    from tqdm import tqdm


_STEERING = {
    code: "\N{REPLACEMENT CHARACTER}"
    for codes in ((0, 9), (11, 32), (127, 160), (0x202A, 0x202F), (0x2066, 0x206A))
    for code in range(*codes)
}
"""Characters that steer a terminal, or turn what is read around; tab and line break may stay."""


def printable(text: str) -> str:
    """`text` without what steers a terminal: a stranger's bundle may have written it."""
    return text.translate(_STEERING)


def stderr(message: str) -> None:
    """One line for the person; never part of the results."""
    print(printable(message), file=sys.stderr, flush=True)


def warn(message: str, hint: str | None = None) -> None:
    """Something the person should know that stops nothing."""
    stderr(f"warning: {message}")
    if hint:
        stderr(f"hint: {hint}")


def tell_error(message: str, hint: str | None = None, trace: bool = False) -> None:
    """An error and what to try next; with the traceback of what is being handled if asked for."""
    if trace or os.environ.get("DLM_DEBUG") == "1":
        traceback.print_exc()
    stderr(f"error: {message}")
    if hint:
        stderr(f"hint: {hint}")


def print_json(value: Any) -> None:
    """A value as readable JSON on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(rows: Sequence[Sequence[object]], header: Sequence[str] = ()) -> None:
    """Rows in aligned columns on stdout."""
    lines = [[str(cell) for cell in row] for row in ([header] if header else []) + list(rows)]
    lines = [[printable(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip())


def progress_bar(name: str, total: int | None, hidden: bool = False) -> tqdm[None]:
    """A bar with ETA on stderr, drawn only on a terminal."""
    from tqdm import tqdm

    return tqdm(
        total=total, desc=name, dynamic_ncols=True, leave=False, disable=True if hidden else None
    )


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


@contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Ctrl-C takes effect behind the block; a second one, at once."""
    if threading.current_thread() is not threading.main_thread():  # where no signal arrives
        yield
        return
    pressed = False

    def hold(*_: object) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


class ResultFile:
    """Where results go: stdout, or a file that keeps its old content until the first result.

    Attributes:
        writes: how often `write` was done.
        lines: how many lines it wrote. Both are right after Ctrl-C too.
    """

    def __init__(self, stream: TextIO, path: Path | None, append: bool = False) -> None:
        self._stream, self.path, self._append = stream, path, append
        self.writes = self.lines = 0

    def write(self, lines: Sequence[str]) -> None:
        """Write lines and flush, so that a later failure loses none of them.

        Raises:
            DLMError: the file took no more.
        """
        try:
            with _ctrl_c_waits():
                anew = not (self._append or self.writes)
                if self.path is not None and anew and self.path.is_file():
                    self._stream.truncate(0)
                self._stream.write("".join(f"{line}\n" for line in lines))
                self._stream.flush()
                self.writes, self.lines = self.writes + 1, self.lines + len(lines)
        except BrokenPipeError:
            raise
        except OSError as error:
            place = f"option '--output': {self.path}" if self.path else "stdout"
            raise DLMError(f"{place}: cannot write ({error.strerror or error})") from error


@contextmanager
def open_results(path: Path | None, append: bool = False) -> Iterator[ResultFile]:
    """Open `--output` (None and `-` are stdout); `append` keeps what a file has.

    Raises:
        UsageError: it cannot be written.
    """
    if path is None or str(path) == "-":
        yield ResultFile(sys.stdout, None)
        return
    new = not path.exists()
    try:
        stream = path.open("a", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"option '--output': cannot write {path} ({error.strerror or error})",
            "choose a file in a folder that exists and that you may write into",
        ) from error
    results = ResultFile(stream, path, append)
    try:
        yield results
    finally:
        with suppress(OSError):  # what could not be flushed was an error before
            stream.close()
        if new and not results.writes:
            path.unlink(missing_ok=True)


def pick_device(name: str) -> str:
    """`auto` is cuda, then mps, then cpu; anything else must be usable.

    Raises:
        UsageError: no such device here.
    """
    import torch

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
