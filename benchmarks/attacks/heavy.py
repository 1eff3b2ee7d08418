"""Row `heavy`: requests that are long, deep or wide take seconds and little memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .common import GIB, Row, dlm, trouble, write_lines

SECONDS, MEGABYTES = 60.0, 2_500.0
"""Of a whole run: the start of Python and torch takes some 4 s and 700 MB of it."""


def requests() -> dict[str, dict[str, object]]:
    """What is asked, and what for."""
    import dlm_core as dlm_core

    words = [w for w in dlm_core.ModelInfo.read("e2e").vocab.plain_words if w.isalpha()]
    return {
        "12 keywords in 64 words, 64 texts": {
            "controls": [f"keyword:{','.join(words[20:32])}", "length:64"],
            "n": 64,
        },
        "any of 700 words": {"controls": [f"pattern:... ({'|'.join(words[:700])}) ..."]},
        "2,000 equal controls": {"controls": ["length:1-64"] * 2_000},
        "a keyword 20,000 times": {"controls": [f"keyword:{','.join(['pub'] * 20_000)}"]},
        "a keyword of 80,000 letters": {"controls": ["keyword:" + "a" * 80_000]},
        "a tree of 500,000 characters": {"controls": ["tree:(S " + "(NP * *) " * 55_000 + ")"]},
        "600 words to avoid": {"controls": [f"avoid:{','.join(words[200:800])}"]},
        "300 phrases to avoid": {
            "controls": [f"avoid:{','.join(f'{a} {b}' for a, b in zip(words, words[300:600]))}"]  # noqa: B905
        },
        "a thousand optional words": {"controls": ["pattern:" + "pub? " * 1_000]},
        "brackets 50,000 deep": {"controls": ["pattern:" + "(" * 50_000 + "pub" + ")" * 50_000]},
    }


def run(names: list[str] | None = None, model: str = "e2e") -> Row:
    """Each in a run of its own, of one step."""
    asked = requests()
    names = names or list(asked)
    row = Row("heavy", f"{len(names)} heavy requests answered or refused", len(names))
    most = slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            path = write_lines(Path(folder) / "r.jsonl", [{"id": 1, "n": 1} | asked[name]])
            words = ("--steps", 1, "--device", "cpu", "--no-verify")
            done = dlm(
                "generate", "-m", model, "--requests", path, *words, timeout=120, memory=10 * GIB
            )
            wrong = trouble(done, (0, 2, 4))
            row.check(wrong is None, name, wrong)
            row.check(done.seconds <= SECONDS, name, f"took {done.seconds:.0f} s")
            row.check(done.peak_mb <= MEGABYTES, name, f"took {done.peak_mb:,.0f} MB")
            most, slowest = max(most, done.peak_mb), max(slowest, done.seconds)
    row.notes += [f"slowest {slowest:.0f} s", f"at most {most:,.0f} MB"]
    return row
