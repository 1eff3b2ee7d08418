"""The built-in controls and selectors, registered like anybody's."""

from __future__ import annotations

from collections.abc import Callable

from dlm_controls.classify.spec import Classify
from dlm_controls.infill import Infill
from dlm_controls.length import Length
from dlm_controls.pattern.phrases import Avoid, Keyword
from dlm_controls.pattern.spec import Pattern
from dlm_controls.pos.spec import Pos
from dlm_controls.selectors import MBR, ByControl, ByLM, First
from dlm_controls.semantic.mr import MR
from dlm_controls.semantic.spec import Semantic
from dlm_controls.tree.span import Span
from dlm_controls.tree.spec import Tree
from dlm_core.control.compose import ControlSpec
from dlm_core.plugins.hooks import hookimpl
from dlm_core.selection import SelectorSpec


@hookimpl
def dlm_register_controls(register: Callable[[type[ControlSpec]], None]) -> None:
    """Register all kinds of controls."""
    for spec in (Semantic, MR, Pos, Tree, Span, Classify, Pattern, Keyword, Avoid, Length, Infill):
        register(spec)


@hookimpl
def dlm_register_selectors(register: Callable[[type[SelectorSpec]], None]) -> None:
    """Register none, control, lm and mbr."""
    for spec in (First, ByControl, ByLM, MBR):
        register(spec)
