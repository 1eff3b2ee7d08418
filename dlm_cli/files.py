"""Files that a user names: what may be written where, results in them, and lines read from them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from pathlib import Path
from stat import S_ISREG
from typing import IO, TYPE_CHECKING, Any, BinaryIO, TextIO

from dlm_cli.output import warn
from dlm_core.errors import DLMError, UsageError

if TYPE_CHECKING:
    from types import ModuleType

MAX_LINE = 1_000_000
"""Bytes of a line that is read: a request of more is no request."""
_PACKERS: dict[str, ModuleType] = {".gz": gzip, ".bz2": bz2, ".xz": lzma}
"""What packs, by the ending of a file's name; each reads joined archives as one."""


def expand(value: Any) -> Any:
    """Callback of options that hold paths: `~` is the home folder."""
    if isinstance(value, list | tuple):
        return [expand(item) for item in value]
    return type(value)(os.path.expanduser(value)) if isinstance(value, str | Path) else value


def packer(path: Path) -> ModuleType | None:
    """The module that packs what is written to `path`; None if its name asks for plain text."""
    return _PACKERS.get(path.suffix.lower())


def check_output(
    output: Path | None,
    inputs: Sequence[tuple[str, str | Path | None]],
    force: bool = False,
    resume: bool = False,
) -> None:
    """Refuse an output that is one of the inputs, or that exists and would be lost.

    Args:
        output: None or `-` for stdout.
        inputs: (option, file) pairs; `-` is stdin.
        force: the user wants the file overwritten.
        resume: the file is gone on with.

    Raises:
        UsageError: names the file.
    """
    to_stdout = output is None or str(output) == "-"
    target = _identity(1 if output is None or to_stdout else output)
    for option, name in inputs:
        if name is not None and target and target == _identity(0 if str(name) == "-" else name):
            place = "stdout" if to_stdout else f"option '--output': {output}"
            raise UsageError(
                f"{place} is the file of {option}, which would be lost", "choose another file"
            )
    if output is None or to_stdout or force or resume:
        return
    if output.is_file() and output.stat().st_size:
        raise UsageError(
            f"option '--output': {output} exists",
            "--force writes it anew, --resume goes on with it (of --requests)",
        )


def check_new(out: Path, force: bool) -> str:
    """Refuse to write a model over another without `--force`; returns its name as one types it.

    Raises:
        UsageError: one stands there, or the name is that of a model that ships.
    """
    from dlm_core.bundle import embedded_names, is_bundle

    name = str(out)
    if name in embedded_names():
        name = f"./{out}"
        warn(f"-m {out} means the model that ships with dlm", f"-m {name} will be yours")
    if is_bundle(out) and not force:
        raise UsageError(
            f"{out} holds a model already", "choose another folder, or replace it with --force"
        )
    return name


def _identity(file: int | str | Path) -> tuple[int, int] | None:
    """What tells a regular file from others, through links too."""
    with suppress(OSError, ValueError):
        stat = os.stat(file)
        if S_ISREG(stat.st_mode):
            return stat.st_dev, stat.st_ino
    return None


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

    Each write is whole lines, on the disk when it returns; in a packed file it is an archive of its
    own, so that what was written before a crash can be read.

    Attributes:
        writes: how often `write` was done.
        lines: how many lines it wrote. Both are right after Ctrl-C too.
    """

    def __init__(self, path: Path | None, stdout: TextIO, append: bool = False) -> None:
        self.path, self._stdout, self._append = path, stdout, append
        self._file: BinaryIO | None = None
        self.writes = self.lines = 0
        self.reopen()

    def reopen(self) -> None:
        """Open the file, and again where another took its place; one run at a time writes it.

        Raises:
            UsageError: it cannot be written, or another run writes it.
        """
        if self.path is None:
            return
        self.close()
        try:
            self._file = self.path.open("ab")
        except OSError as error:
            raise UsageError(
                f"option '--output': cannot write {self.path} ({error.strerror or error})",
                "choose a file in a folder that exists and that you may write into",
            ) from error
        if not _lock(self._file):
            self.close()
            raise UsageError(
                f"option '--output': another run writes {self.path}", "wait, or choose another file"
            )

    def truncate(self, size: int) -> None:
        """Cut the file, plain text, to its first bytes.

        Raises:
            DLMError: it cannot be written.
        """
        assert self._file is not None
        try:
            self._file.truncate(size)
        except OSError as error:
            raise DLMError(f"cannot write {self.path}: {error.strerror or error}") from error

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with suppress(OSError):  # what could not be flushed was an error before
                self._file.close()

    def write(self, lines: Sequence[str]) -> None:
        """Write lines so that a later failure loses none of them.

        Raises:
            DLMError: the file took no more; it ends with a whole line all the same.
        """
        text = "".join(f"{line}\n" for line in lines)
        try:
            with _ctrl_c_waits():
                if self._file is None:
                    self._stdout.write(text)
                    self._stdout.flush()
                else:
                    # half a surrogate pair becomes what JSON writes for it
                    self._put(self._file, text.encode("utf-8", "backslashreplace"))
                self.writes, self.lines = self.writes + 1, self.lines + len(lines)
        except BrokenPipeError:
            raise
        except OSError as error:
            place = f"option '--output': {self.path}" if self.path else "stdout"
            raise DLMError(f"{place}: cannot write ({error.strerror or error})") from error

    def _put(self, file: BinaryIO, data: bytes) -> None:
        assert self.path is not None
        regular = self.path.is_file()
        if regular and not (self._append or self.writes):
            file.truncate(0)
        size = file.seek(0, os.SEEK_END) if regular else 0
        pack = packer(self.path)
        try:
            file.write(pack.compress(data) if pack else data)
            file.flush()
            if regular:
                os.fsync(file.fileno())
        except OSError:
            if regular:  # no half lines
                with suppress(OSError):
                    file.truncate(size)
            raise


def _lock(file: BinaryIO) -> bool:
    """Take a file for this process alone; False if another has it. Where locks are not, nothing."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a pipe, a file system without locks
        pass
    return True


@contextmanager
def open_results(path: Path | None, append: bool = False) -> Iterator[ResultFile]:
    """Open `--output` (None and `-` are stdout); `append` keeps what a file has.

    In the block stdout belongs to the results: whatever else is printed, by a plugin say, goes to
    stderr.

    Raises:
        UsageError: it cannot be written.
    """
    if str(path) == "-":
        path = None
    new = path is not None and not path.exists()
    results = ResultFile(path, sys.stdout, append)
    try:
        with redirect_stdout(sys.stderr):
            yield results
    finally:
        results.close()
        if path is not None and new and not results.writes:
            path.unlink(missing_ok=True)


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file that may be packed, as far as it can be read."""
    from dlm_core.text import BROKEN

    pack = packer(path)
    if path.stat().st_size == 0:
        return
    with pack.open(path, "rb") if pack else path.open("rb") as stream:
        try:
            yield from stream
        except BROKEN:
            return


@contextmanager
def open_lines(name: str, option: str) -> Iterator[Iterable[bytes]]:
    """The lines of a file, undecoded, so that a wrong byte spoils its own line; `-` is stdin.

    A file may be packed; a line of more than MAX_LINE bytes comes cut, one byte longer than that.

    Raises:
        MissingError: the file cannot be opened.
    """
    from dlm_core.errors import MissingError
    from dlm_core.text import BROKEN, encoding_of, open_bytes, read_text

    if name == "-":
        if sys.stdin is None:
            raise MissingError(f"{option}: stdin is closed")
        yield _bounded(sys.stdin.buffer)
        return
    path = Path(os.path.expanduser(name))
    with ExitStack() as stack:
        try:
            piped = path.exists() and not path.is_file()  # what is read from there is gone
            stream: IO[bytes] = path.open("rb") if piped else open_bytes(path)
            stack.enter_context(stream)
            if not piped and not encoding_of(stream.read(4)).startswith("utf-8"):
                # UTF-16 has line breaks of its own
                stream = io.BytesIO(read_text(path).encode())
            elif not piped:
                stream.seek(0)
        except OSError as error:
            raise MissingError(
                f"{option}: cannot read {name} ({error.strerror or error})"
            ) from error
        except MissingError as error:
            raise MissingError(f"{option}: {error.message}", error.hint) from error
        except BROKEN as error:
            raise UsageError(f"{option}: {name} is damaged: {error}", "fetch it again") from error
        yield _bounded(stream)


def _bounded(stream: IO[bytes]) -> Iterator[bytes]:
    from dlm_core.text import BROKEN

    try:
        while line := stream.readline(MAX_LINE + 1):
            rest = line
            while len(line) > MAX_LINE and not rest.endswith(b"\n"):
                rest = stream.readline(MAX_LINE)
                if not rest:
                    break
            yield line
    except BROKEN as error:
        raise UsageError(f"the file is damaged from here: {error}", "fetch it again") from error
