"""The results page: each table between its marks, made of the JSON that a run wrote.

    python -m benchmarks.paper.page OUT docs/results.md

The page has, for each table it shows, a line `<!-- table NAME -->` closed by `<!-- end -->`; what
stands between is written anew. Pictures go beside the page.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from pathlib import Path

from benchmarks.marks import filled
from benchmarks.paper.tables import tables
from benchmarks.paper.tables.base import Data, Table


def section(table: Table, data: Data, picture: str = "") -> str:
    """The table, what must be known to read it, and how it was made."""
    made = data["made"]
    parts = [f"### {table.title}", table.markdown(data)]
    if picture:
        parts.append(f"![{table.title}]({picture})")
    parts += [table.note] if table.note else []
    parts.append(
        f"<sub>`{made['command']}` · seed {made['seed']} · model {made['model']} · "
        f"{made['training']} · {made['date']} · {made['machine']} · intervals are 95%, over "
        "targets</sub>"
    )
    return "\n\n".join(part for part in parts if part)


def rewrite(page: str, out: Path, beside: Path) -> str:
    """The page with the tables of which `out` holds JSON."""
    known, blocks = tables(), {}
    for name in re.findall(r"<!-- table (\S+) -->", page):
        file = out / f"table-{name}.json"
        if name not in known or not file.is_file():
            continue
        picture, shown = out / f"table-{name}.png", beside / f"results-{name}.png"
        if picture.is_file():
            shutil.copyfile(picture, shown)
        data = json.loads(file.read_text("utf-8"))
        drawn = shown.name if shown.is_file() else ""
        blocks[f"table {name}"] = section(known[name], data, drawn)
    return filled(page, blocks)


def main() -> None:
    """Rewrite the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="what `python -m benchmarks.paper` wrote")
    parser.add_argument("page", type=Path)
    args = parser.parse_args()
    page = args.page.read_text("utf-8")
    args.page.write_text(rewrite(page, args.out, args.page.parent), "utf-8")


if __name__ == "__main__":
    main()
