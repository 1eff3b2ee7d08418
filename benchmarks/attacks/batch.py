"""Row `batch`: a file of requests, killed again and again, ends as if it never had been."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .common import KILLED, Row, dlm, last_line, read_rows, size, tiny_bundle, write_lines

CONTROLS: tuple[list[str], ...] = (
    [],
    ["length:5"],
    ["length:4-9", "avoid:cheap"],
    ["keyword:pub"],
    ['pattern:"The ... ."'],
    ["infill:left=The Mill is,right=."],
)


def run(count: int = 2_000, kills: int = 10, seed: int = 13) -> Row:
    """Uninterrupted, then killed at random moments and resumed."""
    draw = random.Random(seed)
    row = Row("batch", f"{count:,} requests killed at {kills} moments and resumed", count)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asked = [request(i, draw) for i in range(count)]
        path = write_lines(folder / "r.jsonl", asked)
        words = ("generate", "-m", tiny_bundle(folder / "tiny"), "--requests", path)
        words += ("--steps", draw.choice((2, 3, 4)), "--device", "cpu")
        whole, out = folder / "whole.jsonl", folder / "out.jsonl"
        done = dlm(*words, "-o", whole)
        row.check(done.code == 0, "uninterrupted", f"exit {done.code}: {last_line(done.err)}")
        killed = 0
        for moment in sorted(draw.uniform(0, 0.95) for _ in range(kills)):
            at, pause = int(moment * size(whole)), draw.uniform(0, 0.05)
            done = dlm(*words, "-o", out, "--resume", kill_when=grown(out, at, pause))
            killed += done.code == KILLED
            if done.code not in (KILLED, 0):
                row.fail("resumed", f"exit {done.code}: {last_line(done.err)}")
                break
        done = dlm(*words, "-o", out, "--resume")
        row.check(done.code == 0, "resumed at last", f"exit {done.code}: {last_line(done.err)}")
        compare(row, read_rows(whole), read_rows(out), asked)
        left = [p.name for p in folder.iterdir() if p not in (path, whole, out, folder / "tiny")]
        row.check(not left, "files", f"left behind: {left}")
    row.notes.append(f"{killed} kills")
    return row


def request(number: int, draw: random.Random) -> dict[str, Any]:
    """A request of the tiny model's words."""
    asked: dict[str, Any] = {"id": number, "n": draw.choice((1, 1, 2, 3))}
    asked["controls"] = draw.choice(CONTROLS)
    if draw.random() < 0.1:
        asked |= {"n": 3, "select": "mbr", "keep": draw.choice((1, 2))}
    return asked


def grown(path: Path, at: int, pause: float) -> Callable[[], bool]:
    """True a moment after a file has more than `at` bytes."""

    def due() -> bool:
        if size(path) > at:
            time.sleep(pause)
            return True
        return False

    return due


def compare(
    row: Row, whole: list[dict[str, Any]], out: list[dict[str, Any]], asked: list[dict[str, Any]]
) -> None:
    """0 lost, 0 twice, the same texts, in the same order."""
    expected = {a["id"]: a.get("keep", a["n"]) for a in asked}
    for name, rows in (("uninterrupted", whole), ("resumed", out)):
        counts: dict[int, int] = dict.fromkeys(expected, 0)
        for result in rows:
            counts[result["id"]] += 1
        lost = [key for key, n in counts.items() if n < expected[key]]
        twice = [key for key, n in counts.items() if n > expected[key]]
        row.notes.append(f"{name}: {len(lost)} lost, {len(twice)} twice")
        row.check(not lost, name, f"{len(lost)} ids lost, first {lost[:5]}")
        row.check(not twice, name, f"{len(twice)} ids with too many texts, first {twice[:5]}")
    texts = [[(r["id"], r["text"]) for r in rows] for rows in (whole, out)]
    other = [a for a, b in zip(*texts, strict=False) if a != b]
    row.check(not other, "texts", f"{len(other)} differ or stand elsewhere, first {other[:2]}")
    row.notes.append(f"{len(other)} texts differ")
