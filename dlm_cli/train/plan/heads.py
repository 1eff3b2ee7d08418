"""Which heads a corpus can teach on this machine, and why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlm_core.corpora import Example
    from dlm_core.data_check import DataReport
    from dlm_core.plugins.registry import Plugins

PARSED = 15
"""Texts a second that a parser reads on a core or two."""
_ENGLISH = ("pos", "tree")
_TREES = "for a larger budget, or with parses that are there: [controls.tree] trees = FILE"


def choose_heads(
    report: DataReport, examples: Sequence[Example], seconds: float, plugins: Plugins
) -> dict[str, str]:
    """Why each control with one head is not trained, as it tells itself; empty where it is.

    Args:
        report: of the corpus.
        examples: its texts as the model sees them.
        seconds: there are for parsing.
        plugins: the controls.
    """
    from dlm_core.control.learning import trainable
    from dlm_core.errors import DLMError
    from dlm_core.recipes.heads import Head

    found = {}
    for kind, cls in sorted(plugins.controls.items()):
        if not trainable(cls) or cls.named_heads:
            continue
        found[kind] = ""
        if kind in _ENGLISH and any("of no use here" in line for line in report.advice):
            found[kind] = "the texts are in another script"
        elif kind == "tree" and len(examples) > PARSED * seconds:
            minutes = len(examples) / PARSED / 60
            found[kind] = f"parsing {len(examples):,} texts takes about {minutes:.0f} min; {_TREES}"
        else:
            try:
                Head(kind, cls, plugins.origin("control", kind)).check(examples)
            except DLMError as error:
                found[kind] = error.message.replace("\n", " ")
    return found


def labels(report: DataReport) -> Sequence[str]:
    """The commonest labels of a corpus that a classifier can learn; none where it has none."""
    for field in report.fields:
        if field.name == "label" and field.kind == "few values":
            return [value for value, _ in field.common]
    return ()
