"""What a user waits for: start-up, the README's generate line, and guided sampling.

    python benchmarks/speed.py --shared ../shared

Seconds are wall time on this machine; `units` divides them by the time of one 1024 x 1024 fp32
matrix product measured in the same run, which travels better between machines.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

from dlm_controls import Pos, Semantic
from dlm_core.bundle import Model
from dlm_core.config import SamplingConfig
from dlm_core.generation.generate import generate_batches
from dlm_core.generation.prepare import Request

QUICK_START = [
    "generate", "--control", "semantic:food=Japanese", "--control", "pos:PROPN AUX ...", "-n", "4",
]  # fmt: skip


def matmul_seconds() -> float:
    """One 1024 x 1024 product."""
    a = torch.randn(1024, 1024)

    def one() -> None:
        a @ a

    return best_of(one, 10)


def best_of(function: Callable[[], object], times: int) -> float:
    """The least of `times` wall times: the one the machine disturbed least."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def command(args: list[str]) -> tuple[float, float]:
    """Wall seconds and peak MiB of one `dlm` command in a fresh process."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "dlm_cli", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"dlm {' '.join(args)} failed with status {status}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def guided(model: Model, steps: int, count: int = 50) -> float:
    """Seconds to sample `count` texts under semantic + pos in one batch, verdicts left out."""
    controls = Semantic(food="Japanese") + Pos("PROPN AUX DET ADJ NOUN ...")
    request = Request(controls, count)

    def once() -> object:
        return list(
            generate_batches(
                model,
                [request],
                sampling=SamplingConfig(steps=steps),
                batch_size=count,
                verify=False,
            )
        )

    return best_of(once, 3)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="e2e")
    parser.add_argument("--steps", type=int, default=SamplingConfig().steps)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    unit = matmul_seconds()
    helps = [command(["--help"])[0] for _ in range(5)]
    quick = [command(QUICK_START) for _ in range(3)]
    sampling = guided(Model.load(args.model), args.steps)
    figures = {
        "help_seconds": median(helps),
        "quick_start_seconds": median(s for s, _ in quick),
        "quick_start_mib": max(m for _, m in quick),
        "guided_50_seconds": sampling,
        "guided_50_units": sampling / unit,
        "matmul_gflops": 2 * 1024**3 / unit / 1e9,
        "threads": torch.get_num_threads(),
        "steps": args.steps,
    }
    print(json.dumps(figures, indent=1))
    if args.out:
        args.out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
