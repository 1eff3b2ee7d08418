"""Many requests on a Ray cluster: one model an actor, a file of results a block of requests.

    python examples/ray_generate.py requests.jsonl results --actors 2
    python examples/ray_generate.py requests.parquet /shared/results --actors 64 --model me/mine@v1

Requests have the keys id, controls, n and seed of `dlm generate --requests`. Blocks that have their
file already are left out, so a run that was stopped goes on where it was. A block is one batch,
whoever makes it: texts do not depend on how many actors there are, and are those of the command
with the same --batch-size where each request is of one text. Needs Ray: pip install "ray[data]".
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import ray

import dlm_core as dlm
from dlm_cli.requests.item import own_seed
from dlm_cli.requests.lines import Line
from dlm_cli.requests.recipes import validate
from dlm_core.files import write_text


class Maker:
    """An actor: loads the model once, makes block after block."""

    def __init__(self, model: str, out: Path) -> None:
        self.model, self.out = dlm.load(model), out
        self.kinds = dlm.load_plugins().controls

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        for number, text in zip(batch["block"], batch["requests"], strict=True):
            block = json.loads(text)
            made = dlm.generate_batches(
                self.model, [self.request(r) for r in block], batch_size=len(block)
            )
            rows = [
                {"id": block[k]["id"]} | r.model_dump(mode="json") for part in made for k, r in part
            ]
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            write_text(self.out / f"{number:08d}.jsonl", "".join(lines))  # whole, or not at all
        return {"block": batch["block"]}

    def request(self, asked: dict[str, Any]) -> dlm.Request:
        given = {key: value for key, value in asked.items() if value is not None}
        line = validate(Line, {"n": 1} | given, "request")
        if line.select is not None:
            raise dlm.UsageError(f"request {line.id!r}: no key 'select' here", "leave it out")
        terms = tuple(dlm.parse_spec(spec, self.kinds) for spec in line.controls)
        seed = own_seed(0, line.id) if line.seed is None else line.seed
        return dlm.Request(dlm.Controls(terms), line.n, seed)


def blocks(path: Path, size: int) -> Iterator[list[dict[str, Any]]]:
    """So many requests at a time."""
    if path.suffix == ".parquet":
        from pyarrow.parquet import ParquetFile

        yield from (batch.to_pylist() for batch in ParquetFile(path).iter_batches(size))
        return
    with path.open(encoding="utf-8") as lines:
        while block := [json.loads(line) for line in islice(lines, size)]:
            yield block


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("requests", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="e2e")
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    todo = [
        {"block": number, "requests": json.dumps(block)}
        for number, block in enumerate(blocks(asked.requests, asked.batch_size))
        if not (asked.out / f"{number:08d}.jsonl").exists()
    ]
    if todo:
        ray.init(log_to_driver=False)
        data = ray.data.from_items(todo, override_num_blocks=len(todo))
        data.map_batches(
            Maker,
            fn_constructor_args=(asked.model, asked.out.absolute()),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=asked.actors),
        ).materialize()
    print(f"{len(todo)} blocks made; texts: {asked.out}/*.jsonl, in the order of their names")


if __name__ == "__main__":
    main()
