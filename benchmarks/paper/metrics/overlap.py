"""How near an infilled gap is to what should stand there: ROUGE, CIDEr, BERTScore (Table 5).

Only where every target is a gap or a sentence. BERTScore wants an encoder: the folder that
DLM_ENCODER names.
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
from dlm_core.control.compose import ControlSpec
from dlm_core.evaluation import references
from dlm_core.evaluation.figures import Figure, Units
from dlm_core.evaluation.references import References

Pairs = list[list[tuple[str, list[str]]]]
"""(what was written, what would do) of each text of each target."""
Measure = Callable[[Sequence[str], References, Units], tuple[Figure, str]]


def pairs(targets: Sequence[Target], groups: Sequence[Sequence[str]]) -> Pairs | None:
    """(what was written, what would do) of each text; None where a target is no gap or sentence."""
    if not all(target.alone or isinstance(_spec(target), Infill) for target in targets):
        return None
    return [
        [(_own(target, text), [_own(target, x) for x in target.references]) for text in group]
        for target, group in zip(targets, groups, strict=True)
    ]


def _spec(target: Target) -> ControlSpec | None:
    return target.controls.terms[0].spec if target.controls else None


def _own(target: Target, text: str) -> str:
    """The gap of a text, or the text."""
    spec = _spec(target)
    return middle(spec, text) if isinstance(spec, Infill) else text


def rouge(
    kind: references.RougeKind,
    lab: Lab,
    targets: Sequence[Target],
    groups: Sequence[Sequence[str]],
) -> list[list[float]] | None:
    """F1 of common words, pairs, or the longest common subsequence, 0 to 1."""
    scores = _scores(partial(references.rouge, kind), pairs(targets, groups))
    return None if scores is None else [[x / 100 for x in group] for group in scores]


def cider(
    lab: Lab, targets: Sequence[Target], groups: Sequence[Sequence[str]]
) -> list[list[float]] | None:
    """CIDEr-D, 0 to 10; what is rare is so among the words that would do."""
    return _scores(references.cider, pairs(targets, groups))


def bert_score(
    lab: Lab, targets: Sequence[Target], groups: Sequence[Sequence[str]]
) -> list[list[float]] | None:
    """F1 of BERTScore: of a sentence, else of the whole text, which alone says what a gap means."""
    encoder, found = os.environ.get("DLM_ENCODER"), pairs(targets, groups)
    if encoder is None or found is None:
        return None
    read = [
        gaps if target.alone else [(text, list(target.references)) for text in group]
        for target, group, gaps in zip(targets, groups, found, strict=True)
    ]
    return _scores(partial(references.bertscore, encoder=Path(encoder), layer=None), read)


def _scores(measure: Measure, found: Pairs | None) -> list[list[float]] | None:
    """Of each text."""
    if found is None:
        return None
    flat = [pair for group in found for pair in group]
    figure, _ = measure([x for x, _ in flat], [y for _, y in flat], separate(len(flat)))
    assert figure.rows is not None
    scores = iter(figure.rows[:, 0].tolist())
    return [[next(scores) for _ in group] for group in found]


METRICS = {
    "rouge_1": partial(rouge, "1"), "rouge_2": partial(rouge, "2"), "rouge_l": partial(rouge, "L"),
    "cider": cider, "bert_score": bert_score,
}  # fmt: skip
