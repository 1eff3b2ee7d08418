"""What texts share with the texts that a model was trained on."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from dlm_core.corpora.example import spaced

_Ints = NDArray[np.int64]


def copied(texts: Sequence[str], corpus_texts: Collection[str]) -> list[bool]:
    """Of each text whether it stands word for word in the corpus as a whole text."""
    known = {spaced(t) for t in corpus_texts}
    return [spaced(t) in known for t in texts]


def longest_runs(texts: Sequence[str], corpus_texts: Collection[str]) -> list[int]:
    """Of each text, the words of its longest run that stands in one text of the corpus.

    Runs of n words are numbered for n = 1, 2, ... and only those go on that both sides have, so
    that the work falls off with what is shared.
    """
    ids: dict[str, int] = {}

    def flat(rows: Collection[str]) -> tuple[_Ints, _Ints]:
        """Ids of all words, and at each the words left in its text, itself included."""
        words = [row.split() for row in rows]
        left = [n for row in words for n in range(len(row), 0, -1)]
        numbers = [ids.setdefault(word, len(ids)) for row in words for word in row]
        return np.array(numbers, dtype=np.int64), np.array(left, dtype=np.int64)

    sides = flat(texts), flat(corpus_texts)
    owner = np.repeat(np.arange(len(texts)), [len(text.split()) for text in texts])
    longest = np.zeros(len(texts), dtype=np.int64)
    starts = [np.arange(len(numbers)) for numbers, _ in sides]  # where a run of n words begins
    runs = [numbers for numbers, _ in sides]  # its number
    n = 1
    while True:
        shared = [np.isin(runs[k], runs[1 - k]) for k in (0, 1)]
        starts = [starts[k][shared[k]] for k in (0, 1)]
        runs = [runs[k][shared[k]] for k in (0, 1)]
        if not len(starts[0]):
            return [int(length) for length in longest]
        longest[owner[starts[0]]] = n
        for k, (numbers, left) in enumerate(sides):
            longer = left[starts[k]] > n
            starts[k], runs[k] = starts[k][longer], runs[k][longer]
            runs[k] = runs[k] * len(ids) + numbers[starts[k] + n]
        n += 1
        known = np.unique(np.concatenate(runs))  # small numbers again
        runs = [np.searchsorted(known, side) for side in runs]
