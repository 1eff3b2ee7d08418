"""The built-in selectors. Importing one costs no torch."""

from __future__ import annotations

from dlm_controls.selectors.control import ByControl
from dlm_controls.selectors.lm import ByLM
from dlm_controls.selectors.mbr import MBR
from dlm_controls.selectors.none import First

__all__ = ["MBR", "ByControl", "ByLM", "First"]
