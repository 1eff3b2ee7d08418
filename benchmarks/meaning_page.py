"""Put the figures and texts of `meaning.py --json` into a page, between its marks.

    python benchmarks/meaning_page.py benchmarks/figures/meaning.json docs/many-conditions.md

A page has the lines `<!-- figures -->` and `<!-- texts -->`, each closed by `<!-- end -->`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marks import filled

ABOUT = {
    "references": "the references themselves",
    "mr": "`mr`: all facts of an MR, no others",
    "facts2": "two facts",
    "facts4": "four facts",
    "facts8": "eight facts",
    "unknown_name": "a name never seen, three facts",
    "facts_tags": "two facts, six tags with a gap",
    "keywords_fact": "three keywords, a fact",
    "keywords_tree": "two keywords, a tree",
    "keywords2": "two keywords",
}
COLUMNS = {
    "said": "said",
    "consistent": "consistent",
    "once": "once",
    "all_three": "all three",
    "nothing_added": "nothing added",
    "verdicts": "verdicts",
    "ratio": "nats ÷ references",
}


def table(data: Mapping[str, Any]) -> str:
    """A row of figures each, shares in percent, with their intervals."""
    lines = [
        f"| row | targets × texts | {' | '.join(COLUMNS.values())} | BLEU-4 | s a text |",
        f"|---|{'---|' * (len(COLUMNS) + 3)}",
    ]
    for name, about in ABOUT.items():
        if not isinstance(row := data.get(name), dict) or not row.get("targets"):
            continue
        cells = [about, f"{row['targets']} × {row['texts'] // row['targets']}"]
        cells += [_cell(key, row.get(key)) for key in COLUMNS]
        cells += [f"{row['bleu_lowercase']['value']:.1f}" if "bleu_lowercase" in row else "–"]
        cells += [f"{row['seconds_a_text']:.2f}" if "seconds_a_text" in row else "–"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(key: str, figure: Mapping[str, float] | None) -> str:
    if figure is None:
        return "–"
    value, low, high = figure["value"], figure["low"], figure["high"]
    if key == "ratio":
        return f"{value:.2f} [{low:.2f}, {high:.2f}]"
    return f"{100 * value:.1f} [{100 * low:.0f}, {100 * high:.0f}]"


def texts(data: Mapping[str, Any]) -> str:
    """What was asked and written, a list a row."""
    parts = []
    for name, about in ABOUT.items():
        row = data.get(name)
        if isinstance(row, dict) and row.get("shown"):
            lines = [f"- {_joined(line)}" for line in row["shown"]]
            parts.append("\n".join([f"### {about[0].upper()}{about[1:]}", "", *lines]))
    return "\n\n".join(parts)


def _joined(shown: str) -> str:
    asked, text, *found = (line.strip() for line in shown.splitlines())
    told = f" *({found[0].removeprefix('-> ')})*" if found else ""
    return f"{text}{told} <br> <sub>{asked}</sub>"


def rewritten(page: str, data: Mapping[str, Any]) -> str:
    """The page with what stands between its marks made anew."""
    return filled(page, {"figures": table(data), "texts": texts(data)})


def main() -> None:
    """Rewrite the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("json", type=Path)
    parser.add_argument("page", type=Path)
    args = parser.parse_args()
    data, page = json.loads(args.json.read_text("utf-8")), args.page.read_text("utf-8")
    args.page.write_text(rewritten(page, data), "utf-8")


if __name__ == "__main__":
    main()
