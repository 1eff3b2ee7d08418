"""What holds under attack: fuzzed input, kills, damaged bundles, broken plugins, long runs.

    python benchmarks/robust.py                       # every row, some fifteen minutes
    python benchmarks/robust.py --rows specs,bundles  # these alone
    python benchmarks/robust.py --markdown            # the table of docs/robustness.md

Exits with 1 where anything failed; the first failures of each row are shown. Seeds are fixed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from attacks.common import Row

ROWS = ("specs", "heavy", "lines", "batch", "training", "bundles", "order", "plugins", "calls")
SHOWN = 5


def main() -> int:
    """Run the rows that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default=",".join(ROWS), help=f"of {','.join(ROWS)}")
    parser.add_argument("--all", action="store_true", help="show every failure")
    parser.add_argument("--markdown", action="store_true", help="a table for docs/robustness.md")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found")
    options = parser.parse_args()
    names = options.rows.split(",")
    if unknown := [name for name in names if name not in ROWS]:
        parser.error(f"no row {', '.join(unknown)}; rows: {', '.join(ROWS)}")
    rows = [one(name, SHOWN if not options.all else None) for name in names]
    print_table(rows, options.markdown)
    if options.json is not None:
        found = [asdict(row) for row in rows]
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return int(any(row.failures for row in rows))


def one(name: str, shown: int | None) -> Row:
    """Run a row; its failures go to stderr."""
    began = time.monotonic()
    row: Row = importlib.import_module(f"attacks.{name}").run()
    row.seconds = round(time.monotonic() - began, 1)
    print(f"{name}: {len(row.failures)} of {row.tried} failed", file=sys.stderr)
    for case, failures in list(row.failures.items())[:shown]:
        print(f"  {case}: {'; '.join(failures)}", file=sys.stderr, flush=True)
    return row


def print_table(rows: list[Row], markdown: bool) -> None:
    """One line a row."""
    table = [("what", "failures", "seconds", "notes")]
    table += [
        (row.what, str(len(row.failures)), f"{row.seconds:.0f}", "; ".join(row.notes))
        for row in rows
    ]
    if markdown:
        table.insert(1, ("---", "---:", "---:", "---"))
        print(*(f"| {' | '.join(line)} |" for line in table), sep="\n")
        return
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        print("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
