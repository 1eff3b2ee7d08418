"""How well the rules of `dlm_controls.semantic.e2e.reader` read E2E references back into their MRs.

Then the verdicts of `dlm_controls.semantic.e2e.oracle` on the same references, for each fact of
their MRs: what a verdict refuses here is the corpus's own (a fact left out, or another one told)
or is its mistake.

Usage: python benchmarks/mr_reader.py [CORPUS.csv.gz ...]   (default: $DLM_SHARED's valid.csv.gz)
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dlm_controls import Semantic
from dlm_controls.semantic.e2e import reader as mr
from dlm_controls.semantic.e2e.oracle import agree, contradictions, repetitions
from dlm_controls.semantic.e2e.tables import FIELDS
from dlm_core.corpora import Example, read_corpus


def score(examples: list[Example]) -> dict[str, Counter[str]]:
    """Counts a field: `hit`, `said` (read from the text), `meant` (in the MR), `close`.

    `close` counts readings whose MR value differs but means the same (`cheap`, `less than £ 20`).
    """
    counts: dict[str, Counter[str]] = {field: Counter() for field in FIELDS}
    for example in examples:
        meant = {(f, v) for f, v in example.fields.items() if f in counts}
        said = {(m.field, m.value) for m in mr.read_mentions(example.text.split())}
        for field, _ in meant:
            counts[field]["meant"] += 1
        for field, value in said:
            counts[field]["said"] += 1
            counts[field]["hit"] += (field, value) in meant
            counts[field]["close"] += any(agree(value, v) for f, v in meant if f == field)
    return counts


def verdicts(examples: list[Example]) -> dict[str, Counter[str]]:
    """Counts a field: facts `meant`, and those whose verdict has each part, or is `satisfied`."""
    counts: dict[str, Counter[str]] = {field: Counter() for field in FIELDS}
    for example in examples:
        for field, value in example.fields.items():
            if field in counts and mr.canonical_value(field, value) is not None:
                verdict = Semantic(field=field, value=value).verify(example.text)
                held = [name for name, holds in (verdict.parts or {}).items() if holds]
                counts[field].update(["meant", *held, *["satisfied"] * bool(verdict.satisfied)])
    return counts


def main() -> None:
    """Print the table for each corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", nargs="*", type=Path)
    paths: list[Path] = parser.parse_args().corpus
    if not paths:
        if "DLM_SHARED" not in os.environ:
            parser.error("name a corpus or set DLM_SHARED")
        paths = [Path(os.environ["DLM_SHARED"]) / "data/e2e/valid.csv.gz"]
    for path in paths:
        examples = read_corpus(f"e2e:{path}")
        start = time.perf_counter()
        counts = score(examples)
        seconds = time.perf_counter() - start
        print(f"{path.name}: {len(examples)} texts read in {seconds:.1f} s")
        print(f"{'field':17}{'in MRs':>8}{'read':>8}{'P':>8}{'R':>8}{'F1':>8}{'P close':>9}")
        for field, c in counts.items():
            p, r = c["hit"] / max(c["said"], 1), c["hit"] / max(c["meant"], 1)
            f1, near = 2 * p * r / max(p + r, 1e-9), c["close"] / max(c["said"], 1)
            print(f"{field:17}{c['meant']:8}{c['said']:8}{p:8.2%}{r:8.2%}{f1:8.2%}{near:9.2%}")
        for check in (contradictions, repetitions):
            rows = [check(example.text.split()) for example in examples]
            print(f"{check.__name__}: {sum(map(bool, rows)) / len(rows):.2%} of the texts")
        parts = ("value", "right_field", "consistent", "satisfied")
        print(f"{'verdicts':17}{'facts':>8}" + "".join(f"{part:>13}" for part in parts))
        for field, c in verdicts(examples).items():
            shares = "".join(f"{c[part] / max(c['meant'], 1):13.2%}" for part in parts)
            print(f"{field:17}{c['meant']:8}{shares}")


if __name__ == "__main__":
    main()
