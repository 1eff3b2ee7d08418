"""A report as a table on the terminal, as JSON, Markdown and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlm_cli.output import print_table
from dlm_core.errors import UsageError, did_you_mean
from dlm_core.files import write_text

if TYPE_CHECKING:
    from dlm_core.evaluation.figures import Difference, Figure
    from dlm_core.evaluation.report import Report

SUFFIXES = (".json", ".md", ".csv")


def check_suffix(path: Path | None) -> None:
    """The report's file has a suffix that says how it is written.

    Raises:
        UsageError: it has another.
    """
    if path is not None and path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"option '--output': {path} ends in none of {', '.join(SUFFIXES)}",
            did_you_mean(path.suffix, SUFFIXES),
        )


def rows_of(
    report: Report, other: Report | None, deltas: Sequence[Difference]
) -> list[dict[str, object]]:
    """A row a figure, by column; with the other's figures beside these, where both have them."""
    if other is None:
        return [
            {"figure": f.name, "value": _value(f), "95% interval": _interval(f), "texts": f.texts}
            for f in report.figures
        ]
    first, second = ({f.name: f for f in each.figures} for each in (report, other))
    return [
        {
            "figure": d.name,
            "first": _value(first[d.name]),
            "second": _value(second[d.name]),
            "first - second": _value(d, "+"),
            "95% interval": _interval(d, "+"),
        }
        for d in deltas
    ]


def print_report(report: Report, other: Report | None, deltas: Sequence[Difference]) -> None:
    """The report, within 80 columns."""
    rows = rows_of(report, other, deltas)
    print_table([list(row.values()) for row in rows], [name.upper() for name in rows[0]])


def write_report(
    path: Path, report: Report, other: Report | None, deltas: Sequence[Difference]
) -> None:
    """Write it as the suffix says."""
    data = report.as_dict()
    if other is not None:
        data |= {"second": other.as_dict(), "differences": {d.name: d.as_dict() for d in deltas}}
    suffix = path.suffix.lower()
    if suffix == ".json":
        write_text(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    elif suffix == ".csv":
        write_text(path, _csv(data))
    else:
        write_text(path, _markdown(report, other, deltas))


def _csv(data: dict[str, Any]) -> str:
    """A row a figure: whose it is (first, second, difference), name, value, bounds."""
    stream = io.StringIO()
    columns = ["of", "figure", "value", "low", "high", "interval", "unit", "texts", "signature"]
    table = csv.DictWriter(stream, columns, lineterminator="\n")
    table.writeheader()
    second = data.get("second", {})
    for of, figures, signature in (
        ("first", data["figures"], data["signature"]),
        ("second", second.get("figures", {}), second.get("signature")),
        ("difference", data.get("differences", {}), data["signature"]),
    ):
        for name, figure in figures.items():
            table.writerow({"of": of, "figure": name, "signature": signature, **figure})
    return stream.getvalue()


def _markdown(report: Report, other: Report | None, deltas: Sequence[Difference]) -> str:
    from dlm_core.evaluation.markdown import table

    signatures = [report.signature] + ([other.signature] if other is not None else [])
    parts = [table(rows_of(report, other, deltas)), *(f"`{line}`" for line in signatures)]
    return "\n\n".join(parts) + "\n"


def _value(figure: Figure | Difference, sign: str = "") -> str:
    scale = 100.0 if figure.unit == "%" else 1.0
    return _number(figure.value * scale, figure.unit, sign)


def _interval(figure: Figure | Difference, sign: str = "") -> str:
    if figure.bounds is None:
        return "-"
    scale = 100.0 if figure.unit == "%" else 1.0
    low, high = figure.bounds.low * scale, figure.bounds.high * scale
    return f"{_number(low, figure.unit, sign)} to {_number(high, figure.unit, sign)}"


def _number(value: float, unit: str, sign: str) -> str:
    """As many digits as one reads: a tenth of a percent or point, a thousandth of a nat."""
    if math.isnan(value):
        return "-"
    digits = {"%": 1, "points": 1, "words": 1}.get(unit, 3)
    return f"{value:{sign}.{digits}f}" + ("%" if unit == "%" else "")
