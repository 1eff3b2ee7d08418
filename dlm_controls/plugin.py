"""The built-in controls, registered like anybody's."""

from __future__ import annotations

from collections.abc import Callable

from dlm_controls.infill import Infill
from dlm_controls.length import Length
from dlm_controls.pos import Pos
from dlm_controls.semantic import Semantic
from dlm_core.hookspecs import hookimpl
from dlm_core.spec import ControlSpec


@hookimpl
def dlm_register_controls(register: Callable[[type[ControlSpec]], None]) -> None:
    """Register semantic, pos, length and infill."""
    for spec in (Semantic, Pos, Length, Infill):
        register(spec)
