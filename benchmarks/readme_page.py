"""The table of single controls in the README, made of the figures that benchmarks wrote.

    python benchmarks/readme_page.py benchmarks/figures/controls.json README.md

The JSON joins what `controls.py`, `trees.py` and `patterns.py` write with `--out`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marks import filled

ROWS = (
    (
        "unconditional",
        "none",
        "distinct; self-BLEU-4 ({n} validation texts)",
        "{distinct:.1%}; {self_bleu4:.1f} ({self_bleu4_valid:.1f})",
        "–",
    ),
    ("semantic", "`semantic`", "the value's words occur", "{value:.1%}", "81.2%"),
    (
        "semantic",
        "",
        "the fact stands in its field; nothing contradicts it; all three",
        "{right_field:.1%}; {consistent:.1%}; {satisfied:.1%}",
        "",
    ),
    ("pos", "`pos`", "words with the right tag", "{words:.1%}", "90.0%"),
    ("length", "`length`, 5 … 40 words", "exact number of words", "{exact:.1%}", "99.9%"),
    ("infill", "`infill`, gaps of 3–8 words", "both sides kept", "{context_kept:.1%}", "–"),
    ("semantic_pos", "`semantic` + `pos`", "the value's words occur", "{value:.1%}", "63.7%"),
    (
        "semantic_pos",
        "",
        "the fact in its field; all three",
        "{right_field:.1%}; {satisfied:.1%}",
        "",
    ),
    ("semantic_pos", "", "words with the right tag", "{words:.1%}", "69.1%"),
    ("tree", "`tree`", "labelled F1 of brackets under a benepar parser", "{f1:.1%}", "86.0"),
    ("span", "`span`", "the constituent is there, exactly", "{exact:.1%}", "93.8%"),
    (
        "semantic_tree",
        "`semantic` + `tree`",
        "the value's words occur; labelled F1",
        "{value:.1%}; {f1:.1%}",
        "69.8%; 74.8",
    ),
    (
        "pattern",
        "`pattern`, `keyword`, `avoid`, random ones",
        "holds (before the last step's constrained choice)",
        "{satisfied:.1%} ({before:.1%})",
        "–",
    ),
    (
        "four",
        "`semantic` + `pos` prefix + `avoid` + `length`",
        "all four; the fact in its field; words with the right tag",
        "{all_four:.1%}; {right_field:.1%}; {words:.1%}",
        "–",
    ),
)
"""Row of the JSON; control; measure; figures; the paper's, from its Tables 2 and 4."""


def table(data: Mapping[str, Any]) -> str:
    """A line each of `ROWS`; lm-score and the number of texts stand in a control's first line."""
    lines = ["| control | texts | measure | dlm | lm-score | paper |", "|---|---|---|---|---|---|"]
    for name, control, measure, figures, paper in ROWS:
        row = data[name]
        texts, lm = (f"{row['texts']:.0f}", f"{row['lm']:.2f}") if control else ("", "")
        filled_in = measure.format(**row), figures.format(**row)
        lines.append(f"| {' | '.join([control.format(**row), texts, *filled_in, lm, paper])} |")
    return "\n".join(lines)


def rewritten(page: str, data: Mapping[str, Any]) -> str:
    """The page with its table made anew."""
    return filled(page, {"controls": table(data)})


def main() -> None:
    """Rewrite the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("json", type=Path)
    parser.add_argument("page", type=Path)
    args = parser.parse_args()
    data, page = json.loads(args.json.read_text("utf-8")), args.page.read_text("utf-8")
    args.page.write_text(rewritten(page, data), "utf-8")


if __name__ == "__main__":
    main()
