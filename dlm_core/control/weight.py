"""How much a control counts: a finite number, 0 or more. Light: imports no torch."""

from __future__ import annotations

import math
from typing import Any

from dlm_core.calling import WrongReturnError, number, owner_of, plugin_errors, plugin_name
from dlm_core.control.wrong import WrongSpecError

MAX_WEIGHT = 1e6
"""Far above what steers; beyond it numbers overflow in the gradient."""


def control_name(label: str, owner: str = "") -> str:
    """A control as errors name it: `control 'length:5' from dlm 0.1.0`."""
    return plugin_name("control", label, owner)


def usual_weight(kind: Any) -> float:
    """The weight of a control that is given none.

    Raises:
        PluginError: its `default_weight` is no finite number.
    """
    with plugin_errors(control_name(kind.kind, owner_of(kind)), "default_weight"):
        weight = number(kind.default_weight, "a number")
        if not math.isfinite(weight):
            raise WrongReturnError(str(weight), "a finite number")
    return weight


def checked_weight(value: Any, label: str) -> float:
    """A weight as a float.

    Raises:
        SpecError: it is no number from 0 to `MAX_WEIGHT`.
    """
    try:
        weight = float(value)
    except (TypeError, ValueError, OverflowError):
        weight = math.nan
    if not 0 <= weight <= MAX_WEIGHT:  # which NaN is not, either
        raise WrongSpecError(
            f"the weight of '{label}' is {str(value)[:40]}, not a number from 0 to "
            f"{MAX_WEIGHT:,.0f}",
            hint="for example 0.5 * Length(12), or length:12@0.5",
        )
    return weight
