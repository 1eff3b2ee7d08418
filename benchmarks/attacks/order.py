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


ALONE = Way(1, 1)
SAME = (Way(1, 1, True),)
"""Ways in which every text must be that of `ALONE`."""
CLOSE = (Way(7, 1), Way(64, 1), Way(64, 1, True), Way(64, 2), Way(7, 2, True))
"""Ways that take sums in another order: a word may flip where two were all but equally likely."""
SHARE = 0.05
"""Of the texts, that may differ so."""


def run(
    count: int = 96,
    seed: int = 15,
    model: str = "e2e",
    close: tuple[Way, ...] = CLOSE,
    controls: tuple[list[str], ...] = CONTROLS,
    share: float = SHARE,
) -> Row:
    """Compare each way with one text at a time on one thread."""
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
    row = Row("order", f"the same {count} requests in {len(SAME + close)} other ways", count)
    with tempfile.TemporaryDirectory() as folder:
        alone = texts(row, Path(folder), ALONE, asked, model)
        for way in SAME + close:
            order = draw.sample(asked, len(asked)) if way.shuffled else asked
            found = texts(row, Path(folder), way, order, model)
            other = [key for key in alone if found.get(key) != alone[key]]
            if way in SAME or len(other) > share * len(alone):
                for key in other:
                    how = f"{cut(found.get(key))}, not {cut(alone[key])}"
                    row.fail(f"{tuple(way)} {key} {asked[int(key.split('.')[0])]['controls']}", how)
            name = f"batches of {way.batch}, {way.threads} threads{', shuffled' * way.shuffled}"
            row.notes.append(f"{name}: {len(other)} of {len(alone)} differ")
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
