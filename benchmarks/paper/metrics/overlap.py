"""How near an infilled gap is to the words that were cut out: ROUGE-L, CIDEr, BERTScore (Table 5).

Only where every target is a gap. BERTScore wants an encoder: the folder that DLM_ENCODER names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.baselines.lab import Lab
from benchmarks.paper.intervals import separate
from benchmarks.paper.tasks.base import Target
from benchmarks.paper.tasks.infill import middle
from dlm_controls import Infill
from dlm_core.evaluation import references
from dlm_core.evaluation.figures import Figure, Units
from dlm_core.evaluation.references import References

Pairs = list[list[tuple[str, str]]]
"""(what was written, what it should be) of each text of each target."""
Measure = Callable[[Sequence[str], References, Units], tuple[Figure, str]]


def pairs(targets: Sequence[Target], groups: Sequence[Sequence[str]]) -> Pairs | None:
    """(gap, words that were cut out) of each text; None where a target is no gap."""
    specs = [t.controls.terms[0].spec if t.controls else None for t in targets]
    if not all(isinstance(spec, Infill) for spec in specs):
        return None
    return [
        [(middle(spec, text), middle(spec, target.reference)) for text in group]  # type: ignore[arg-type]
        for spec, target, group in zip(specs, targets, groups, strict=True)
    ]


def rouge_l(
    lab: Lab, targets: Sequence[Target], groups: Sequence[Sequence[str]]
) -> list[list[float]] | None:
    """F1 of the longest common subsequence, 0 to 1."""
    scores = _scores(references.rouge_l, pairs(targets, groups))
    return None if scores is None else [[x / 100 for x in group] for group in scores]


def cider(
    lab: Lab, targets: Sequence[Target], groups: Sequence[Sequence[str]]
) -> list[list[float]] | None:
    """CIDEr-D, 0 to 10; what is rare is so among the words that were cut out."""
    return _scores(references.cider, pairs(targets, groups))


def bert_score(
    lab: Lab, targets: Sequence[Target], groups: Sequence[Sequence[str]]
) -> list[list[float]] | None:
    """F1 of BERTScore of the whole texts, which alone say what a gap means."""
    encoder = os.environ.get("DLM_ENCODER")
    if encoder is None or pairs(targets, groups) is None:
        return None
    whole = [[(x, t.reference) for x in group] for t, group in zip(targets, groups, strict=True)]
    return _scores(partial(references.bertscore, encoder=Path(encoder), layer=None), whole)


def _scores(measure: Measure, found: Pairs | None) -> list[list[float]] | None:
    """Of each text."""
    if found is None:
        return None
    flat = [pair for group in found for pair in group]
    figure, _ = measure([x for x, _ in flat], [[y] for _, y in flat], separate(len(flat)))
    assert figure.rows is not None
    scores = iter(figure.rows[:, 0].tolist())
    return [[next(scores) for _ in group] for group in found]


METRICS = {"rouge_l": rouge_l, "cider": cider, "bert_score": bert_score}
