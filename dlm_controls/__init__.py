"""The built-in controls of dlm. Importing a spec costs no torch."""

from __future__ import annotations

from dlm_controls.classify import Classify
from dlm_controls.infill import Infill
from dlm_controls.length import Length
from dlm_controls.pattern import Avoid, Keyword, Pattern
from dlm_controls.pos import Pos
from dlm_controls.semantic import Semantic
from dlm_controls.span import Span
from dlm_controls.tree import Tree

__all__ = [
    "Avoid",
    "Classify",
    "Infill",
    "Keyword",
    "Length",
    "Pattern",
    "Pos",
    "Semantic",
    "Span",
    "Tree",
]
