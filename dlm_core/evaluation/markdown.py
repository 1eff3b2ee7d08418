"""Rows as an aligned Markdown table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """A header from the keys in order of appearance, numbers to the right.

    Floats get four significant digits; a missing cell or None prints as `-`.
    """
    header = list(dict.fromkeys(key for row in rows for key in row))
    if not header:
        return ""
    columns = [[row.get(key) for row in rows] for key in header]
    numeric = [all(isinstance(v, int | float) for v in c if v is not None) for c in columns]
    shown = [[key, *map(_cell, column)] for key, column in zip(header, columns, strict=True)]
    widths = [max(3, *map(len, column)) for column in shown]
    rule = ["-" * (w - 1) + ":" if r else "-" * w for w, r in zip(widths, numeric, strict=True)]
    lines = [
        [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, numeric, strict=True)]
        for line in zip(*shown, strict=True)
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        digits = f"{value:.4g}"
        return f"{value:.0f}" if "e+" in digits else digits  # 12346, not 1.235e+04
    return str(value).replace("|", r"\|")
