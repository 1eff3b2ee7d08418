"""What the rows share: a row, a run of `dlm`, a tiny model, work in a child."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ENV = {
    "PYTHONPATH": str(ROOT),
    "DLM_PLUGINS": "",
    "HF_HUB_OFFLINE": "1",
    "COLUMNS": "200",
    "OMP_NUM_THREADS": "1",
}
GIB = 2**30
TEXTS = (
    "The Mill is a cheap pub near Burger King .",
    "The Eagle is a French restaurant near The Mill .",
    "The Mill serves Japanese food in the city centre .",
    "A cheap restaurant near the riverside is The Eagle .",
    "The Eagle serves cheap French food .",
    "Burger King is near The Eagle in the riverside area .",
)


@dataclass
class Row:
    """What a row of the table says."""

    name: str
    what: str
    tried: int
    failures: dict[str, list[str]] = field(default_factory=dict)
    """What failed, and how: a case counts once, whatever is wrong with it."""
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def check(self, holds: object, case: str, failure: str | None) -> None:
        """Note what is wrong with a case unless `holds`."""
        if not holds:
            self.fail(case, failure or "?")

    def fail(self, case: str, failure: str) -> None:
        """Note what is wrong with a case."""
        self.failures.setdefault(case, []).append(failure)


def cut(value: object, width: int = 100) -> str:
    """A value on one line, its middle left out if it is long."""
    text = ascii(str(value) if isinstance(value, Exception) else value)
    half = (width - 5) // 2
    return text if len(text) <= width else f"{text[:half]} ... {text[-half:]}"


def last_line(text: str) -> str:
    """What a program said at the end, for a failure."""
    errors = [line for line in text.splitlines() if line.startswith("error")]
    lines = errors or text.strip().splitlines() or ["(said nothing)"]
    return cut(lines[-1], 160)


# -- runs of dlm ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """A run of `dlm` that has ended."""

    code: int
    out: str
    err: str
    peak_mb: float
    seconds: float
    """Of the processor, so that a busy machine makes no difference."""


FORK = False
"""Fork this process instead of starting Python anew: for tests, where torch is loaded already and
has one thread."""


def start(words: Sequence[object], out: int, err: int, env: dict[str, str], memory: int) -> int:
    """Start `dlm` with these words; returns the process id."""
    argv = [str(word) for word in words]

    def limit() -> None:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    if not FORK:
        command = [sys.executable, "-m", "dlm_cli", *argv]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=os.environ | ENV | env,
            preexec_fn=limit,
        )
        process.returncode = 0  # waited for by its id
        return process.pid
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        limit()
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.environ.update(ENV | env)
        sys.stdout, sys.stderr = (os.fdopen(n, "w", encoding="utf-8") for n in (1, 2))
        warnings.resetwarnings()
        from dlm_cli.__main__ import main

        code = main(argv)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def dlm(
    *words: object,
    env: dict[str, str] | None = None,
    memory: int = 16 * GIB,
    timeout: float = 300.0,
    kill_when: Callable[[], bool] | None = None,
) -> Done:
    """Run `dlm`; its peak memory is the resident set's.

    Args:
        words: after `dlm`.
        env: more of the environment.
        memory: address space at most, bytes.
        timeout: killed after so many seconds.
        kill_when: killed as soon as this is true; asked all the time.
    """
    began = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = start(words, out.fileno(), err.fileno(), env or {}, memory)
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.0005):
                late = time.monotonic() - began > timeout
                if late or (kill_when is not None and kill_when()):
                    os.kill(pid, signal.SIGKILL)
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        _, status, usage = os.wait4(pid, 0)
        over.set()
        watcher.join()
        out.seek(0)
        err.seek(0)
        return Done(
            os.waitstatus_to_exitcode(status),
            out.read().decode("utf-8", "replace"),
            err.read().decode("utf-8", "replace"),
            usage.ru_maxrss / 1024,
            usage.ru_utime + usage.ru_stime,
        )


KILLED = -signal.SIGKILL


def trouble(done: Done, codes: Sequence[int]) -> str | None:
    """What is wrong with how a run ended, if anything."""
    if "Traceback (most recent" in done.err + done.out:
        return f"traceback: {cut(done.err.strip().splitlines()[-1], 160)}"
    if done.code not in codes:
        expected = " or ".join(map(str, codes))
        return f"exit {done.code}, not {expected}: {last_line(done.err)}"
    return None


# -- files ------------------------------------------------------------------------------------


def write_lines(path: Path, rows: Sequence[Any]) -> Path:
    """JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    """JSON lines; none where there is no file."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def size(path: Path) -> int:
    """Bytes of a file, 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def tiny_bundle(folder: Path, **changes: Any) -> Path:
    """The bundle of a small random net with decided predictions: milliseconds a batch."""
    import torch

    from dlm_core.bundle import save_bundle
    from dlm_core.config import ModelConfig
    from dlm_core.diffusion.model import DiffusionLM
    from dlm_core.vocab import Vocab

    vocab = Vocab.build(TEXTS, min_count=0)
    shape = {"embedding_dim": 8, "max_len": 14, "train_steps": 100, "hidden": 32, "layers": 2}
    config = ModelConfig(**{"vocab_size": len(vocab), "heads": 2, **shape, **changes})
    torch.manual_seed(0)
    net = DiffusionLM(config, pad=vocab.pad, unk=vocab.unk)
    with torch.no_grad():
        net.denoiser.outputs.weight.mul_(8.0)
        net.length_counts[4:11] = torch.tensor([1.0, 2, 4, 4, 2, 1, 1])
    save_bundle(folder, net, vocab)
    return folder


# -- work in a child --------------------------------------------------------------------------


def in_child(
    work: Callable[..., Iterator[Any]], items: Sequence[Any], timeout: float, memory: int = 8 * GIB
) -> Iterator[Any]:
    """`work(items)` in a fresh process, each result as it comes, or the str that says why not.

    Where the process dies over an item, or takes longer than `timeout`, a new one goes on behind.
    """
    context = multiprocessing.get_context("spawn")
    at = 0
    while at < len(items):
        with _child(context, work, items[at:], memory) as (process, results):
            patience = timeout + 60  # for the start
            while at < len(items):
                if not results.poll(patience):
                    yield f"took longer than {timeout:.0f} s"
                    at += 1
                    break
                try:
                    result = results.recv()
                except EOFError:
                    process.join()
                    result = f"the process died (exit {process.exitcode})"
                yield result
                at, patience = at + 1, timeout
                if isinstance(result, str):
                    break


@contextmanager
def _child(context: Any, work: Any, items: Sequence[Any], memory: int) -> Iterator[tuple[Any, Any]]:
    ours, theirs = context.Pipe(duplex=False)
    os.environ.update(ENV)
    process = context.Process(target=_send, args=(theirs, work, items, memory), daemon=True)
    process.start()
    theirs.close()
    try:
        yield process, ours
    finally:
        process.kill()
        process.join()


def _send(results: Any, work: Any, items: Sequence[Any], memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        for result in work(items):
            results.send(result)
    except Exception as error:
        results.send(f"{type(error).__name__}: {cut(error)}")
