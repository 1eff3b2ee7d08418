"""Which heads a corpus can teach on this machine, and why not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlm_core.data_check import DataReport

PARSED = 15
"""Texts a second that a parser reads on a core or two."""


def choose_heads(report: DataReport, texts: int, seconds: float) -> dict[str, str]:
    """Why each built-in control with a head is not trained; empty where it is.

    Args:
        report: of the corpus, with its fields.
        texts: to be parsed for `tree`.
        seconds: there are for parsing.
    """
    others = any("of no use here" in line for line in report.advice)
    english = "the texts are in another script" if others else ""
    fields = [f for f in report.fields if f.name != "label" and f.kind in ("few values", "open")]
    parsing = texts / PARSED
    slow = f"parsing {texts:,} texts takes about {parsing / 60:.0f} min; {_TREES}"
    return {
        "semantic": "" if fields else "no field with few values, or of names that the texts say",
        "pos": english or ("" if _has_tagger() else 'needs spaCy: pip install "dlm[pos]"'),
        "tree": english or _no_parser() or (slow if parsing > seconds else ""),
    }


_TREES = "for a larger budget, or with parses that are there: [controls.tree] trees = FILE"


def labels(report: DataReport) -> Sequence[str]:
    """The commonest labels of a corpus that a classifier can learn; none where it has none."""
    for field in report.fields:
        if field.name == "label" and field.kind == "few values":
            return [value for value, _ in field.common]
    return ()


def _has_tagger() -> bool:
    from dlm_controls.pos.oracle import tagger_version

    return bool(tagger_version())


def _no_parser() -> str:
    from dlm_controls.tree.oracle import DEFAULT, parser_name

    name = parser_name()
    if find_spec("benepar") is None:
        return 'needs benepar: pip install "dlm[tree]"'
    if name != DEFAULT:
        there = Path(name).expanduser().exists()
        return "" if there else f"DLM_PARSER is {name}, which is not there"
    from nltk.data import path as places

    found = any(os.path.exists(os.path.join(place, "models", DEFAULT)) for place in places)
    return "" if found else "needs a benepar parser: DLM_PARSER=PATH"
