"""Row `calls`: a process that generates for long grows neither in memory nor in open files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import product

from .common import Row, in_child

MEGABYTES = 0.03
"""Growth a call at most, over the second half: 300 calls then keep below 10 MB."""


def run(count: int = 300, model: str = "e2e", megabytes: float = MEGABYTES) -> Row:
    """`generate()` so many times, each with a seed of its own and one of sixty requests."""
    row = Row("calls", f"{count} calls in one process", count)
    samples: list[tuple[float, int]] = []
    jobs = [(model, i) for i in range(count)]
    for result in in_child(call, jobs, timeout=60, memory=16 * 2**30):
        if isinstance(result, str):
            row.fail(f"call {len(samples)}", result)
        else:
            samples.append(result)
    half = samples[len(samples) // 2 :]
    growth = slope([rss for rss, _ in half])
    files = half[-1][1] - half[0][1]
    row.check(growth <= megabytes, "memory", f"grows by {growth:.3f} MB a call")
    row.check(files <= 0, "files", f"{files} more are open")
    row.notes.append(f"{growth:+.3f} MB a call, {files:+d} files")
    return row


def call(jobs: Sequence[tuple[str, int]]) -> Iterator[tuple[float, int]]:
    """(MB resident, open files) after each call."""
    import torch

    import dlm_core as dlm

    torch.set_num_threads(1)
    kinds = dlm.load_plugins(chosen=()).controls
    model = dlm.load(jobs[0][0])
    words = [word for word in model.vocab.plain_words if word.isalpha()][:15]
    asked = [
        [template.format(word=word, n=5 + i)]
        for i, (word, template) in enumerate(
            product(
                words, ("keyword:{word}", "length:{n}", "avoid:{word}", "pattern:... {word} ...")
            )
        )
    ]
    lengths = model.info.max_words
    for _, number in jobs:
        specs = [s for s in asked[number % len(asked)] if not s.startswith("length")]
        specs = specs or [f"length:{1 + number % lengths}"]
        controls = dlm.Controls(tuple(dlm.parse_spec(s, kinds) for s in specs))
        dlm.generate(model, controls, 2, seed=number, sampling=dlm.SamplingConfig(steps=2))
        pages = int(open("/proc/self/statm").read().split()[1])  # noqa: SIM115
        yield pages * os.sysconf("SC_PAGE_SIZE") / 2**20, len(os.listdir("/proc/self/fd"))


def slope(values: Sequence[float]) -> float:
    """Of the line through the values, by least squares."""
    middle = (len(values) - 1) / 2
    mean = sum(values) / len(values)
    above = sum((i - middle) * (value - mean) for i, value in enumerate(values))
    return above / sum((i - middle) ** 2 for i in range(len(values)))
