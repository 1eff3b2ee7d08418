"""`--fail-under control=97`: figures that a run must reach."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlm_cli.output import tell_error
from dlm_core.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from dlm_core.evaluation.report import Report


def read_limits(option: str, values: Sequence[str]) -> dict[str, float]:
    """Numbers by figure, of FIGURE=NUMBER.

    Raises:
        UsageError: a value reads otherwise.
    """
    found = {}
    for value in values:
        name, separator, number = value.rpartition("=")
        try:
            found[name] = float(number.removesuffix("%"))
        except ValueError:
            separator = ""
        if not (separator and name and math.isfinite(found[name])):
            raise UsageError(f"option '{option}': '{value}' is no FIGURE=NUMBER", "control=97")
    return found


def missed(report: Report, under: dict[str, float], over: dict[str, float]) -> bool:
    """Tell each limit that is missed; a share is in %.

    Raises:
        UsageError: a limit is of a figure that was not measured.
    """
    failed = False
    for option, limits in (("--fail-under", under), ("--fail-over", over)):
        for name, limit in limits.items():
            figure = report.figure(name)
            if figure is None or math.isnan(figure.value):
                known = [f.name for f in report.figures if not math.isnan(f.value)]
                raise UsageError(
                    f"option '{option}': '{name}' was not measured", did_you_mean(name, known)
                )
            value = figure.value * figure.scale
            if value < limit if option == "--fail-under" else value > limit:
                tell_error(f"{name} is {value:.4g}, {option.removeprefix('--fail-')} {limit:g}")
                failed = True
    return failed
