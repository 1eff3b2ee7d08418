"""How long requests take on many processes: simulated from what one process measures.

    python benchmarks/scale.py [--requests 1000000] [--batches 4]

Measured, in seconds of one CPU core: start-up (imports and the model), a batch of texts, reading a
line that is another process's, writing a row, joining a row. Each process starts, reads all lines,
makes the batches of its blocks one after another (each as long as one of those measured, drawn at
random), and writes their rows; when the last is done, the first joins all rows. Machines are taken
to be equal and disks to be no bottleneck; the network has no part, as processes only say that they
are done.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from dlm_cli.generate.job import Job
from dlm_cli.requests.item import Item, make_item, own_seed
from dlm_cli.requests.lines import Reader, rows
from dlm_cli.requests.recipes import Recipe
from dlm_cli.requests.share import Share
from dlm_core.evaluation.markdown import table

SPECS = (
    "semantic:food=Japanese",
    "length:12",
    "avoid:pub",
    "pos:DET NOUN AUX DET ADJ NOUN PUNCT",
    "",
)
SIZE = 64


@dataclass(frozen=True)
class Costs:
    """Seconds of one core."""

    start: float
    batches: list[float]
    read: float
    write: float
    join: float


def seconds(do: Callable[[], object]) -> float:
    start = time.process_time()
    do()
    return time.process_time() - start


def measure(batches: int, given: Sequence[float]) -> Costs:
    torch.set_num_threads(1)
    job = Job.of(Recipe(), SIZE)
    start = time.process_time()  # what the imports took, of this process's life
    loaded: list = []
    start += seconds(lambda: loaded.append(job.load("cpu")))
    first = [item(job, 2)]
    ((_, one),) = next(iter(job.texts(loaded[0], first)))  # warms up
    times, made = list(given), [(first[0], one)] * SIZE
    for batch in range(0 if given else batches):
        items = [item(job, batch * SIZE + k) for k in range(SIZE)]
        begin = time.process_time()
        found = [pair for part in job.texts(loaded[0], items) for pair in part]
        times.append(time.process_time() - begin)
        made += [(items[owner], result) for owner, result in found]
    lines = [line(k) for k in range(4000)]
    reader = Reader("-", {"n": 1}, 0, lambda _: first[0], share=Share(1, 10**9, SIZE))
    read = seconds(lambda: list(reader.items(lines))) / len(lines)
    texts: list[str] = []
    write = seconds(lambda: texts.extend(rows(i, [r], job.settings)[0] for i, r in made))
    with tempfile.TemporaryDirectory() as folder:
        share, path = Share(0, 2, SIZE), Path(folder, "out.jsonl")
        many = [text + "\n" for text in texts] * 20
        for rank in range(2):
            share.part(path, rank).write_text("".join(many[rank::2]), encoding="utf-8")
        numbers = {k: k for k in range(len(made))}
        join = seconds(lambda: share.join(path, numbers)) / len(many)
    return Costs(start, times, read, write / len(made), join)


def spec(k: int) -> list[str]:
    return [SPECS[k % len(SPECS)]] if SPECS[k % len(SPECS)] else []


def line(k: int) -> bytes:
    return json.dumps({"id": k, "controls": spec(k)}).encode()


def item(job: Job, k: int) -> Item:
    return make_item(spec(k), 1, own_seed(0, k), None, None, job.plugins, k)


def simulate(costs: Costs, requests: int, workers: int) -> float:
    """Seconds until the file is there."""
    draw = random.Random(workers)
    blocks = -(-requests // SIZE)
    ends = []
    for worker in range(workers):
        own = blocks // workers + (worker < blocks % workers)
        ends.append(sum(draw.choices(costs.batches, k=own)) + own * SIZE * costs.write)
    reading = requests * costs.read
    return costs.start + reading + max(ends) + (requests * costs.join if workers > 1 else 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument(
        "--batch-seconds", type=float, nargs="*", default=(), help="measured elsewhere: a GPU, say"
    )
    asked = parser.parse_args()
    costs = measure(asked.batches, asked.batch_seconds)
    low, high = min(costs.batches), max(costs.batches)
    each = [f"{1e6 * cost:.0f} us" for cost in (costs.read, costs.write, costs.join)]
    print(f"start-up {costs.start:.2f} s; a batch of {SIZE} texts {low:.2f} to {high:.2f} s")
    print("a line read {}, a row written {}, joined {}\n".format(*each))
    shown = []
    for requests in (asked.requests // 10, asked.requests):
        alone = simulate(costs, requests, 1)
        for workers in (1, 8, 64, 256, 1000):
            took = simulate(costs, requests, workers)
            shown.append(
                {
                    "requests": f"{requests:,}",
                    "processes": f"{workers:,}",
                    "time": f"{took / 3600:.2f} h" if took > 3600 else f"{took / 60:.1f} min",
                    "times as fast": f"{alone / took:.1f}",
                    "of linear": f"{alone / took / workers:.0%}",
                }
            )
    print(table(shown))


if __name__ == "__main__":
    main()
