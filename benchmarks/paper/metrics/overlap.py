"""How near an infilled gap is to the words that were cut out: ROUGE-L and BERTScore F1 (Table 5).

Only where every target is a gap. BERTScore wants an encoder: the folder that DLM_ENCODER names.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from benchmarks.baselines.lab import Lab
from benchmarks.paper.tasks.base import Target
from benchmarks.paper.tasks.infill import middle
from dlm_controls import Infill


def pairs(
    targets: Sequence[Target], groups: Sequence[Sequence[str]]
) -> list[list[tuple[str, str]]] | None:
    """(gap, words that were cut out) of each text; None where a target is no gap."""
    specs = [t.controls.terms[0].spec for t in targets]
    if not all(isinstance(spec, Infill) for spec in specs):
        return None
    return [
        [(middle(spec, text), middle(spec, target.reference)) for text in group]  # type: ignore[arg-type]
        for spec, target, group in zip(specs, targets, groups, strict=True)
    ]


def rouge_l(
    lab: Lab, targets: Sequence[Target], groups: Sequence[Sequence[str]]
) -> list[list[float]] | None:
    """F1 of the longest common subsequence, by rouge-score, 0 to 1."""
    found = pairs(targets, groups)
    if found is None:
        return None
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"])
    return [[scorer.score(own, gap)["rougeL"].fmeasure for gap, own in group] for group in found]


def bert_score(
    lab: Lab, targets: Sequence[Target], groups: Sequence[Sequence[str]]
) -> list[list[float]] | None:
    """F1 of BERTScore of the whole texts, which alone say what a gap means."""
    encoder = os.environ.get("DLM_ENCODER")
    if encoder is None or pairs(targets, groups) is None:
        return None

    from bert_score import BERTScorer
    from transformers import AutoConfig

    layers = AutoConfig.from_pretrained(encoder).num_hidden_layers
    scorer = BERTScorer(encoder, num_layers=layers, use_fast_tokenizer=True)
    scorer._tokenizer.model_max_length = min(scorer._tokenizer.model_max_length, 512)
    flat = [(x, t.reference) for t, group in zip(targets, groups, strict=True) for x in group]
    texts, references = zip(*flat, strict=True)
    f1 = iter(scorer.score(list(texts), list(references))[2].tolist())
    return [[next(f1) for _ in group] for group in groups]


METRICS = {"rouge_l": rouge_l, "bert_score": bert_score}
