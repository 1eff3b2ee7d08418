"""Variety of a set of texts: distinct words, self-BLEU; pure functions of word-tokenised strings.

Words are whatever whitespace separates. All shares lie in 0..1 and self-BLEU in 0..100; an empty
set of texts is a ValueError, never a silent 0.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from dlm_core.corpora.example import spaced

Ngram = tuple[str, ...]


def distinct_share(texts: Sequence[str]) -> float:
    """Share (0..1) of different texts: 1 when no text is repeated."""
    if not texts:
        raise ValueError("no texts to measure")
    return len({spaced(t) for t in texts}) / len(texts)


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Distinct n-grams over all n-grams of the set (0..1); no n-gram crosses two texts.

    It falls as a set grows: compare only sets of about the same number of words.

    Raises:
        ValueError: no text has `n` words.
    """
    if n < 1:
        raise ValueError(f"n is {n}; n-grams have at least 1 word")
    grams = [gram for text in texts for gram in _ngrams(text.split(), n)]
    if not grams:
        raise ValueError(f"no text has {n} words")
    return len(set(grams)) / len(grams)


def self_bleu_scores(texts: Sequence[str], order: int = 4) -> list[float]:
    """Sentence BLEU (0..100) of each text against all the others as references.

    The numbers are those of `BLEU(effective_order=True, tokenize="none",
    max_ngram_order=order).sentence_score(text, others)`; a text without words scores 0. The
    clipping counts of all texts are merged once, so the cost is linear in the number of texts.

    Raises:
        ValueError: fewer than two texts.
    """
    if len(texts) < 2:
        raise ValueError(f"self-BLEU needs at least 2 texts, got {len(texts)}")
    from sacrebleu.metrics.bleu import BLEU

    words = [text.split() for text in texts]
    counts = [
        Counter(gram for n in range(1, order + 1) for gram in _ngrams(row, n)) for row in words
    ]
    # A reference set clips an n-gram at its highest count in any one text. Without text i that is
    # the highest of all, unless i alone holds it: then it is the second highest.
    top: dict[Ngram, int] = {}
    second: dict[Ngram, int] = {}
    for count in counts:
        for gram, times in count.items():
            if times >= top.get(gram, 0):
                second[gram] = top.get(gram, 0)
                top[gram] = times
            elif times > second[gram]:
                second[gram] = times
    lengths = sorted(len(row) for row in words)
    scores = []
    for row, count in zip(words, counts, strict=True):
        correct, total = [0] * order, [0] * order
        for gram, times in count.items():
            total[len(gram) - 1] += times
            clip = second[gram] if times == top[gram] else top[gram]
            correct[len(gram) - 1] += min(times, clip)
        score = BLEU.compute_bleu(
            correct,
            total,
            len(row),
            _closest_other(lengths, len(row)),
            smooth_method="exp",
            effective_order=True,
            max_ngram_order=order,
        )
        scores.append(score.score)
    return scores


def self_bleu(texts: Sequence[str], order: int = 4) -> float:
    """Mean of `self_bleu_scores` (0..100): high means the texts resemble each other.

    It grows with the number of texts: compare only sets of the same size.
    """
    return sum(self_bleu_scores(texts, order)) / len(texts)


def _ngrams(words: Sequence[str], n: int) -> list[Ngram]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def _closest_other(lengths: Sequence[int], own: int) -> int:
    """Of sorted `lengths` without one `own`, the nearest to `own`; of two, the shorter."""
    at = bisect_left(lengths, own)
    around = [*lengths[max(0, at - 1) : at], *lengths[at + 1 : at + 2]]
    return min(around, key=lambda length: (abs(length - own), length))
