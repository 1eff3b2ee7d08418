"""The built-in controls of dlm. Importing a spec costs no torch."""

from __future__ import annotations

from dlm_controls.infill import Infill
from dlm_controls.length import Length
from dlm_controls.pos import Pos
from dlm_controls.semantic import Semantic

__all__ = ["Infill", "Length", "Pos", "Semantic"]
