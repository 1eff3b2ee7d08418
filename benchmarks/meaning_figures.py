"""Figures with 95% intervals, drawn again over meaning representations, never over single texts.

Texts of one request are alike, so the request is the unit: `groups` hold one list a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from scipy.stats import binomtest, bootstrap

RESAMPLES = 1000


@dataclass(frozen=True)
class Figure:
    """A value and its 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Four digits, as in `0.9712 [0.9500, 0.9853]`."""
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


def share(groups: Sequence[Sequence[bool]]) -> Figure:
    """Mean over groups of the share that holds; Wilson's interval where no group differs."""
    means = [fmean(group) for group in groups]
    value = fmean(means)
    if len(set(means)) == 1:  # nothing to draw again from
        if value not in (0.0, 1.0):
            return Figure(value, 0.0, 1.0)
        found = binomtest(round(value * len(means)), len(means)).proportion_ci(method="wilson")
        return Figure(value, float(found.low), float(found.high))
    return mean(means)


def mean(values: Sequence[float]) -> Figure:
    """Mean of one number a group."""
    return ratio(values, [1.0] * len(values))


def ratio(above: Sequence[float], below: Sequence[float]) -> Figure:
    """Mean of `above` by mean of `below`, whose entries belong together."""
    a, b = np.asarray(above, float), np.asarray(below, float)
    value = float(a.mean() / b.mean())
    if len(a) < 2:
        return Figure(value, value, value)
    found = bootstrap(
        (a, b),
        lambda x, y, axis: x.mean(axis) / y.mean(axis),
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=0,
    ).confidence_interval
    return Figure(value, float(found.low), float(found.high))


def bleu(
    texts: Sequence[Sequence[str]], references: Sequence[Sequence[str]], lowercase: bool
) -> tuple[Figure, str]:
    """Corpus BLEU-4 (0..100) of all texts against all references of their group; signature."""
    scorer = BLEU(lowercase=lowercase, force=True)
    flat = [(t, refs) for group, refs in zip(texts, references, strict=True) for t in group]
    hypotheses = [t for t, _ in flat]
    most = max(len(refs) for _, refs in flat)
    streams = [[r[i] if i < len(r) else None for _, r in flat] for i in range(most)]
    score = scorer.corpus_score(hypotheses, streams)
    rows = np.asarray(scorer._extract_corpus_statistics(hypotheses, streams))
    ends = np.cumsum([len(group) for group in texts])
    sums = np.asarray([part.sum(0) for part in np.split(rows, ends[:-1])])
    signature = str(scorer.get_signature())
    if len(sums) < 2:
        return Figure(score.score, score.score, score.score), signature

    def again(index: np.ndarray) -> float:
        total = sums[index.astype(int)].sum(0).tolist()
        return float(scorer._compute_score_from_stats(total).score)

    found = bootstrap(
        (np.arange(len(sums)),),
        again,
        vectorized=False,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=0,
    ).confidence_interval
    return Figure(score.score, float(found.low), float(found.high)), signature
