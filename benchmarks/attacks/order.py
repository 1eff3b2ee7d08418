"""Row `order`: a text depends on its request and seed, not on its neighbours, batch or threads."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import NamedTuple

from .common import Row, cut, dlm, read_rows, trouble, write_lines

CONTROLS: tuple[list[str], ...] = (
    [],
    ["semantic:food=Japanese"],
    ["semantic:name=The Mill", "length:8-14"],
    ["pos:PROPN AUX DET ..."],
    ["keyword:pub,cheap"],
    ["length:30"],
    ["tree:(TOP (S (NP * *) (VP * (NP * *)) *))"],
    ["span:0,1,NP", "length:9"],
    ["infill:left=The Mill is,right=near Burger King ."],
    ['pattern:"The * serves (Indian|Italian) food ..."'],
    ["not semantic:family friendly=yes"],
    ["avoid:cheap", "semantic:area=riverside@0.5"],
)


class Way(NamedTuple):
    """How the same requests are made."""

    batch: int
    threads: int
    shuffled: bool = False


ONE = Way(64, 1)
OTHERS = (Way(1, 1), Way(7, 1), Way(64, 1, True), Way(64, 2), Way(7, 2, True))


def run(
    count: int = 96,
    seed: int = 15,
    model: str = "e2e",
    others: tuple[Way, ...] = OTHERS,
    controls: tuple[list[str], ...] = CONTROLS,
) -> Row:
    """Compare each way with batches of 64 and one thread."""
    draw = random.Random(seed)
    asked = [
        {
            "id": i,
            "n": draw.choice((1, 2)),
            "seed": 100 + i,
            "controls": controls[i % len(controls)],
        }
        for i in range(count)
    ]
    total = sum(a["n"] for a in asked) * len(others)  # type: ignore[misc]
    row = Row("order", f"the same {count} requests in {len(others)} other ways", total)
    with tempfile.TemporaryDirectory() as folder:
        reference = texts(row, Path(folder), ONE, asked, model)
        for way in others:
            order = draw.sample(asked, len(asked)) if way.shuffled else asked
            found = texts(row, Path(folder), way, order, model)
            other = [key for key in reference if found.get(key) != reference[key]]
            shown = [cut(asked[int(key.split(".")[0])]["controls"], 50) for key in other[:3]]
            for key in other:
                row.fail(f"{tuple(way)} {key}", f"{cut(found.get(key))}, not {cut(reference[key])}")
            row.notes.append(f"{tuple(way)}: {len(other)} differ {', '.join(shown)}".strip())
    return row


def texts(
    row: Row, folder: Path, way: Way, asked: list[dict[str, object]], model: str
) -> dict[str, str]:
    """id.number -> text."""
    path, out = write_lines(folder / "r.jsonl", asked), folder / "out.jsonl"
    out.unlink(missing_ok=True)
    words = ("--steps", 8, "--device", "cpu", "--no-verify", "--batch-size", way.batch, "-o", out)
    threads = {"OMP_NUM_THREADS": str(way.threads), "MKL_NUM_THREADS": str(way.threads)}
    done = dlm("generate", "-m", model, "--requests", path, *words, env=threads, timeout=900)
    wrong = trouble(done, (0,))
    row.check(wrong is None, str(tuple(way)), wrong)
    found: dict[str, str] = {}
    for result in read_rows(out):
        found[f"{result['id']}.{result['seed'] - 100 - result['id']}"] = result["text"]
    return found
