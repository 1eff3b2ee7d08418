"""Row `training`: a run killed again and again ends with the weights of one left alone."""

from __future__ import annotations

import hashlib
import json
import random
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .batch import grown
from .common import KILLED, TEXTS, Row, dlm, last_line, size

CONFIG = """\
max_steps = {steps}
batch_tokens = 256
min_count = 0
eval_every = 20
save_every = 3
sample_steps = 2
eval_examples = 8
warmup_steps = 5
[model]
hidden = 32
layers = 1
heads = 2
embedding_dim = 8
max_len = 16
dropout = 0.1
"""


def run(steps: int = 240, kills: int = 10, seed: int = 14) -> Row:
    """`dlm train lm`, uninterrupted and killed; the tensors' digests are compared."""
    draw = random.Random(seed)
    row = Row("training", f"training killed at {kills} moments and resumed", kills)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus, config = folder / "a.txt", folder / "tiny.toml"
        corpus.write_text("".join(f"{draw.choice(TEXTS)}\n" for _ in range(400)))
        config.write_text(CONFIG.format(steps=steps))
        words = ("train", "lm", "--corpus", f"text:{corpus}", "--config", config)
        words += ("--device", "cpu")
        done = dlm(*words, "--out", folder / "whole")
        row.check(done.code == 0, "uninterrupted", f"exit {done.code}: {last_line(done.err)}")
        out, log = folder / "out", folder / "out" / "metrics.jsonl"
        words += ("--out", out)
        kills_done = 0
        length = size(folder / "whole" / "metrics.jsonl")
        for moment in sorted(draw.uniform(0, 0.9) for _ in range(kills)):
            due = grown(log, int(moment * length), draw.uniform(0, 0.3))
            if draw.random() < 0.5:  # in the middle of writing
                due = stirred(out, draw.randrange(1, 60))
            kills_done += go_on(row, words, out, due)
        go_on(row, words, out, None)
        whole, killed = digest(folder / "whole"), digest(out)
        row.check(whole == killed, "weights", "not those of the uninterrupted run")
        steps_logged = [json.loads(line)["step"] for line in lines(log)]
        order = sorted(steps_logged)
        row.check(steps_logged == order, "metrics.jsonl", "steps go back, so that some stand twice")
        left = [p.name for p in out.rglob("*") if p.name.endswith((".new", ".tmp"))]
        row.check(not left, "files", f"left behind: {left}")
    row.notes.append(f"{kills_done} kills")
    return row


def stirred(folder: Path, times: int) -> Callable[[], bool]:
    """True as soon as files below a folder came, went or changed so often."""
    seen: set[tuple[str, int]] = set()

    def due() -> bool:
        nonlocal times
        now = set()
        for path in folder.rglob("*"):
            with suppress(OSError):  # gone meanwhile
                now.add((str(path), path.stat().st_mtime_ns))
        times -= bool(seen) and now != seen
        seen.clear()
        seen.update(now)
        return times <= 0

    return due


def go_on(row: Row, words: tuple[object, ...], out: Path, due: Callable[[], bool] | None) -> bool:
    """Resume where there is something to resume, as the program itself advises; killed?"""
    done = dlm(*words, *(["--resume"] if out.exists() else []), kill_when=due)
    if done.code == 3 and "leave --resume out" in done.err:
        done = dlm(*words, kill_when=due)
    row.check(done.code in (0, KILLED), "resumed", f"exit {done.code}: {last_line(done.err)}")
    return done.code == KILLED


def lines(path: Path) -> list[str]:
    """Of a file that may not be there."""
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def digest(bundle: Path) -> str | None:
    """SHA-256 of every tensor of a bundle, by name."""
    from safetensors.numpy import load_file

    path = bundle / "model.safetensors"
    if not path.is_file():
        return None
    found = hashlib.sha256()
    for name, tensor in sorted(load_file(path).items()):
        found.update(f"{name} {tensor.dtype} {tensor.shape} ".encode() + tensor.tobytes())
    return found.hexdigest()
