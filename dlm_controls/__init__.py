"""The built-in controls of dlm. Importing a spec costs no torch."""

from __future__ import annotations

from dlm_controls.classify.spec import Classify
from dlm_controls.infill import Infill
from dlm_controls.length import Length
from dlm_controls.pattern.phrases import Avoid, Keyword
from dlm_controls.pattern.spec import Pattern
from dlm_controls.pos.spec import Pos
from dlm_controls.semantic.mr import MR
from dlm_controls.semantic.spec import Semantic
from dlm_controls.tree.span import Span
from dlm_controls.tree.spec import Tree

__all__ = [
    "MR",
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
