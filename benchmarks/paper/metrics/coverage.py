"""Coverage of concepts, as CommonGen's script counts it.

A concept is said by any word whose lemma it is; by the word itself where spaCy is not installed.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.baselines.lab import Lab
from benchmarks.lemmas import lemmas
from benchmarks.paper.tasks.base import Target
from dlm_controls import Keyword


def coverage(
    lab: Lab, targets: Sequence[Target], groups: Sequence[Sequence[str]]
) -> list[list[float]] | None:
    """The share of the concepts that is said; None where a target is no set of them."""
    specs = [target.controls.terms[0].spec for target in targets]
    asked = [set(spec.phrases) for spec in specs if isinstance(spec, Keyword)]
    if len(asked) < len(targets):
        return None
    read = iter(lemmas([text.split() for group in groups for text in group]))
    return [
        [len(concepts & {lemma.text for lemma in next(read)}) / len(concepts) for _ in group]
        for concepts, group in zip(asked, groups, strict=True)
    ]


METRICS = {"coverage": coverage}
