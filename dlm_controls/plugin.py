"""The built-in controls and selectors, registered like anybody's."""

from __future__ import annotations

from collections.abc import Callable

from dlm_controls.classify import Classify
from dlm_controls.infill import Infill
from dlm_controls.length import Length
from dlm_controls.pattern import Avoid, Keyword, Pattern
from dlm_controls.pos import Pos
from dlm_controls.selectors import MBR, ByControl, ByLM, First
from dlm_controls.semantic import Semantic
from dlm_controls.span import Span
from dlm_controls.tree import Tree
from dlm_core.hookspecs import hookimpl
from dlm_core.selection import SelectorSpec
from dlm_core.spec import ControlSpec


@hookimpl
def dlm_register_controls(register: Callable[[type[ControlSpec]], None]) -> None:
    """Register all kinds of controls."""
    for spec in (Semantic, Pos, Tree, Span, Classify, Pattern, Keyword, Avoid, Length, Infill):
        register(spec)


@hookimpl
def dlm_register_selectors(register: Callable[[type[SelectorSpec]], None]) -> None:
    """Register none, control, lm and mbr."""
    for spec in (First, ByControl, ByLM, MBR):
        register(spec)
