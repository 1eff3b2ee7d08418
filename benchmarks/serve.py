"""A server under load: what is lost, what is wrong, how fast it is, whether its memory grows.

    python benchmarks/serve.py                 # 64 clients x 20 requests, 10 rounds
    python benchmarks/serve.py --clients 8 --requests 3 --rounds 2 --deterministic

Each client asks one thing after the other, of mixed controls; one request in ten is bad. A text is
wrong if its verdict is not what `dlm.verify` says of it, if its signature is not that of the row of
`dlm generate`, or, with --deterministic, if it is not word for word what `dlm generate` makes of
the seed. Without, the share of texts that differ is told (docs/robustness.md). `dlm generate
--requests` makes the same good requests in the same run; throughput is the ratio of texts a second,
loading left out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dlm_core as dlm
from benchmarks.command import run, say

GOOD: tuple[tuple[str, ...], ...] = (
    (),
    ("length:10-14",),
    ("semantic:food=Japanese",),
    ("semantic:area=riverside", "length:12"),
    ("infill:left=The Mill is,right=near Burger King .",),
    ("keyword:cheap,riverside",),
    ("not semantic:price=high",),
    ("pattern:The ... is a ... .",),
)
BAD: tuple[dict[str, Any], ...] = (
    {"controls": ["lenth:12"]},
    {"controls": ["semantic:food=Klingon"]},
    {"controls": ["length:5", "length:6"]},
    {"controls": ["length:12"] * 1000},
    {"n": 0},
)


def make_request(number: int) -> dict[str, Any]:
    """The `number`-th request of a run; every tenth is bad."""
    if number % 10 == 9:
        return BAD[number // 10 % len(BAD)]
    return {"controls": list(GOOD[number % len(GOOD)]), "seed": number * 100, "n": 1}


@contextmanager
def server(options: argparse.Namespace) -> Iterator[tuple[str, psutil.Process]]:
    """`dlm serve` as a user starts it: its address and its process."""
    argv = [sys.executable, "-m", "dlm_cli", "serve", "--port", "0", "--device", options.device]
    argv += ["--steps", str(options.steps), *(["--deterministic"] * options.deterministic)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=environment(options)) as own:
        assert own.stderr is not None
        try:
            yield own.stderr.readline().split()[-1], psutil.Process(own.pid)
        finally:
            own.send_signal(signal.SIGTERM)
        if code := own.wait():
            raise SystemExit(f"dlm serve ended with {code}: {own.stderr.read()}")


def environment(options: argparse.Namespace) -> dict[str, str]:
    """Of both commands."""
    return {**os.environ, "OMP_NUM_THREADS": str(options.threads)}


async def load(url: str, clients: int, requests: int) -> dict[int, tuple[int, Any]]:
    """Number of a request -> status and JSON; one that got no answer is left out."""
    answers: dict[int, tuple[int, Any]] = {}
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as http:

        async def client(first: int) -> None:
            for number in range(first, first + requests):
                try:
                    found = await http.post("/v1/completions", json=make_request(number))
                except httpx.HTTPError as error:
                    say(f"request {number}: {type(error).__name__}")
                    continue
                answers[number] = found.status_code, found.json()

        await asyncio.gather(*(client(k * requests) for k in range(clients)))
    return answers


def first_draft(url: str) -> float:
    """From the request to the first draft, in times between two drafts: the median of 20 texts."""
    found = []
    with httpx.Client(base_url=url, timeout=600) as http:
        http.get("/health")  # a connection is open
        for seed in range(20):
            times = [time.monotonic()]
            wish = {"controls": ["length:12"], "seed": seed, "stream": True}
            with http.stream("POST", "/v1/completions", json=wish) as stream:
                times += [time.monotonic() for line in stream.iter_lines() if '"draft"' in line]
            steps = [after - before for before, after in pairwise(times[1:])]
            found.append((times[1] - times[0]) / median(steps))
    return median(found)


def batch(options: argparse.Namespace, count: int) -> tuple[dict[int, Any], float]:
    """The good ones by `dlm generate --requests`: rows by number, and seconds without loading.

    The time of a run of one request is taken for that of starting and loading.
    """
    numbers = [number for number in range(count) if number % 10 != 9]
    rows, _ = generate(options, numbers[:1])
    _, loading = generate(options, numbers[:1])
    rows, seconds = generate(options, numbers)
    return rows, seconds - loading


def generate(options: argparse.Namespace, numbers: list[int]) -> tuple[dict[int, Any], float]:
    """Rows by number, and seconds."""
    lines = [json.dumps({"id": number, **make_request(number)}) for number in numbers]
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        argv = [sys.executable, "-m", "dlm_cli", "-q", "generate", "--requests", file.name]
        argv += ["--steps", str(options.steps), "--device", options.device]
        argv += ["--deterministic"] * options.deterministic
        started = time.monotonic()
        made = subprocess.run(
            argv, stdout=subprocess.PIPE, text=True, check=True, env=environment(options)
        )
    rows = {row["id"]: row for row in map(json.loads, made.stdout.splitlines())}
    return rows, time.monotonic() - started


@cache
def judged(text: str, controls: tuple[str, ...]) -> bool | None:
    """Do the controls hold? Nothing asked for holds."""
    return not controls or dlm.verify(text, list(controls)).satisfied


def compare(answers: dict[int, tuple[int, Any]], rows: dict[int, Any], count: int) -> Counter[str]:
    """What became of each request."""
    found: Counter[str] = Counter()
    for number in range(count):
        status, answer = answers.get(number, (0, None))
        if number % 10 == 9:
            found["bad"] += 1
            found["bad, 400 with a message"] += status == 400 and bool(answer["error"]["message"])
            continue
        found["good"] += 1
        if status != 200:
            found["lost"] += 1
            continue
        mine, row = answer["choices"][0]["dlm"], rows[number]
        verdict = judged(mine["text"], GOOD[number % len(GOOD)])
        found["other text"] += mine["text"] != row["text"]
        found["other verdict"] += mine["satisfied"] != verdict
        found["other signature"] += mine["signature"] != row["signature"]
        found["not satisfied"] += mine["satisfied"] is False
    return found


def work(options: argparse.Namespace) -> None:
    """All rounds."""
    count = options.clients * options.requests
    rows, batch_seconds = batch(options, count)
    say(f"dlm generate: {len(rows)} texts in {batch_seconds:.1f} s")
    memory, rates = [], []
    total: Counter[str] = Counter()
    with server(options) as (url, process):
        for number in range(options.rounds):
            started = time.monotonic()
            answers = asyncio.run(load(url, options.clients, options.requests))
            seconds = time.monotonic() - started
            found = compare(answers, rows, count)
            total += found
            rates.append((found["good"] - found["lost"]) / seconds)
            memory.append(process.memory_info().rss / 2**20)
            say(f"round {number + 1}: {seconds:.1f} s, {memory[-1]:.0f} MiB, {dict(found)}")
        waited = first_draft(url)
    wrong = ["other verdict", "other signature"] + ["other text"] * options.deterministic
    figures = {
        "clients": options.clients,
        "requests_a_client": options.requests,
        "deterministic": options.deterministic,
        "threads": options.threads,
        **{key: total[key] for key in ("good", "lost", "bad", "bad, 400 with a message")},
        "wrong": sum(total[key] for key in wrong),
        "other_text_share": total["other text"] / max(1, total["good"]),
        "texts_a_second": median(rates),
        "batch_texts_a_second": len(rows) / batch_seconds,
        "throughput_ratio": median(rates) * batch_seconds / len(rows),
        "first_draft_in_steps": waited,
        "memory_mib": [round(value) for value in memory],
    }
    print(json.dumps(figures, indent=1))
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=20, help="of each client, in a round")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--deterministic", action="store_true")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    parser.set_defaults(run=work)
    return run(parser)


if __name__ == "__main__":
    sys.exit(main())
