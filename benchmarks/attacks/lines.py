"""Row `lines`: whatever stands in a file of requests, the good lines are answered."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path

from .common import Row, cut, dlm, trouble
from .fuzz import NUMBERS, SCRIPTS, SIGNS, Fuzzer

GOOD = ({}, {"controls": ["length:8"]}, {"controls": ["keyword:pub"]}, {"meta": {"k": "v"}})


def run(count: int = 500, seed: int = 12, model: str = "e2e") -> Row:
    """Fuzzed lines with good ones between and behind, through `dlm generate --requests`."""
    lines, good = fuzzed(count, seed)
    row = Row("lines", f"{count} fuzzed request lines, {len(good)} good ones between", count)
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "r.jsonl", Path(folder) / "out.jsonl"
        path.write_bytes(b"\n".join(lines) + b"\n")
        words = ("--steps", 2, "--device", "cpu", "--no-verify", "-o", out)
        done = dlm("generate", "-m", model, "--requests", path, *words, timeout=900)
        wrong = trouble(done, (0, 2, 3, 4))
        row.check(wrong is None, "the run", wrong)
        answered: dict[object, int] = {}
        for line in out.read_bytes().split(b"\n")[:-1] if out.is_file() else ():
            try:
                result = json.loads(line)
            except ValueError as error:
                row.fail(cut(line), f"written, but no JSON ({error})")
                continue
            key = str(result.get("id"))
            answered[key] = answered.get(key, 0) + 1
    for key in good:
        behind = cut(lines[int(key.split("-")[1]) - 1])
        row.check(answered.get(key) == 1, key, f"answered {answered.get(key, 0)} times; {behind}")
    for at, said in enumerate(done.err.splitlines()):
        row.check(len(said) < 3_000, cut(said), f"line {at} on stderr: {len(said):,} characters")
    row.check(" from dlm 0" not in done.err, "stderr", "our own control blamed as a plugin")
    row.notes += [f"{done.seconds:.0f} s", f"{done.peak_mb:,.0f} MB"]
    return row


def fuzzed(count: int, seed: int) -> tuple[list[bytes], list[str]]:
    """The lines, and the ids of those that must be answered."""
    import dlm_core as dlm_core

    kinds = dlm_core.load_plugins(chosen=()).controls
    examples = [spec for kind in kinds.values() for spec in kind.examples]
    draw = random.Random(seed)
    fuzzer = Fuzzer(examples, dlm_core.ModelInfo.read("e2e").vocab.plain_words, seed)
    lines: list[bytes] = []
    good: list[str] = []
    while len(lines) - len(good) < count:
        if len(lines) % 6 == 5:
            good.append(add_good(lines, draw))
        lines.append(line(fuzzer, draw, len(lines)))
    good.append(add_good(lines, draw))
    return lines, good


def add_good(lines: list[bytes], draw: random.Random) -> str:
    """A good request, behind the others; its id holds its place."""
    key = f"good-{len(lines)}"
    lines.append(json.dumps({"id": key, "n": 1, **draw.choice(GOOD[:3])}).encode())
    return key


def line(fuzzer: Fuzzer, draw: random.Random, number: int) -> bytes:
    """A line that may be anything but long work: `n` is never large."""
    whole: dict[str, object] = {"id": number, "n": 1, "controls": fuzzer.request()}
    values = (None, True, -1, 0, 10**400, 1.0, "1", [], {}, "\ud800", "x" * 10_000, [["x"]])
    kind = draw.randrange(8)
    if kind == 0:  # one key is something else
        key = draw.choice(("id", "controls", "seed", "select", "keep", "meta", "sed", ""))
        whole[key] = draw.choice((*values, 10**30, "random", "mbr", "none", "control:x=1"))
    elif kind == 1:
        whole["n"] = draw.choice((None, True, -1, 0, 1.5, "1", [], "9" * 400, -(10**30)))
    elif kind == 2:  # cut, or with a stray character
        text = json.dumps(whole)[:5_000]
        at = draw.randrange(len(text))
        return (text[:at] + draw.choice(SIGNS[:-4] + "\x00\x7f") + text[at + 1 :]).encode()
    elif kind == 3:  # bytes that are no text
        return draw.randbytes(40).replace(b"\n", b" ").replace(b"\r", b" ") + b"\xff\xfe\x85"
    elif kind == 4:
        depth = draw.choice((100, 5_000, 100_000))
        nest = draw.choice(("[", '{"a":', '{"id": 1, "controls": ['))
        return (nest * depth).encode()
    elif kind == 5:
        number_text = draw.choice([n for n in NUMBERS if n])
        return f'{{"id": {number}, "n": 1, "seed": {number_text}}}'.encode()
    elif kind == 6:  # a key twice, NaN, another type of line
        return draw.choice(
            (
                f'{{"id": {number}, "id": "b", "n": 1}}',
                f'{{"id": {number}, "n": 1, "seed": NaN}}',
                "null",
                "[]",
                '"text"',
                "42",
                "{}",
                f'{{"id": "{number}\\ud83d", "n": 1}}',
                f'{{"id": "{number}{SCRIPTS[:20]}", "n": 1, "controls": []}}',
            )
        ).encode("utf-8", "surrogatepass")
    return json.dumps(whole).encode()
