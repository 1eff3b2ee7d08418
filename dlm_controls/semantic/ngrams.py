"""The n-grams of a corpus and the texts that have them, in arrays. Light: numpy alone.

Words of all texts stand in one row, so that an n-gram is a place in it; one that is in too few
texts is none, and neither is what contains it (Agrawal and Srikant 1994).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
LONGEST = 5
"""Words of an n-gram at most."""


class NGrams:
    """Every n-gram that is in at least `fewest` texts.

    Attributes:
        grams: their words, by id.
        names: the words, by id; rates: their shares of all words.
        spread: shares of the texts that have them.
        words: (T,) ids of all words of all texts, one text after the other.
        texts: (T,) the text of each.
        texts_of: the texts that have an n-gram, by its id.
    """

    def __init__(self, texts: Sequence[Sequence[str]], fewest: int) -> None:
        ids: dict[str, int] = {}
        row = [ids.setdefault(word, len(ids)) for text in texts for word in text]
        self.words = np.array(row, dtype=np.int64)
        self.texts = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
        self.names = list(ids)
        once = np.unique(np.stack([self.words, self.texts]), axis=1)
        self.spread = np.bincount(once[0], minlength=1) / max(1, len(texts))
        self.rates = np.bincount(self.words, minlength=1) / max(1, len(row))
        # what ends a sentence or parts its clauses is in no phrase; a sign such as a pound's is
        mark = np.array([w in ".,;:!?" for w in self.names], dtype=bool)
        self.grams: list[tuple[str, ...]] = []
        self._places: list[Ints] = []
        unit = np.where(mark[self.words], -1, self.words) if len(row) else self.words
        one, parts = self._keep(unit, fewest)
        level: list[tuple[str, ...]] = [(self.names[k],) for k in parts]
        first, now = level, one
        for size in range(1, LONGEST + 1):
            self._add(level, now)
            if size == LONGEST or not level:
                break
            span = max(0, len(row) - size)
            whole = (now[:span] >= 0) & (one[size:] >= 0)
            whole &= self.texts[:span] == self.texts[size:]
            key = np.where(whole, now[:span] * len(first) + one[size:], -1)
            kinds, key = np.unique(key, return_inverse=True)
            now, parts = self._keep(np.where(whole, key, -1), fewest)
            pairs = [divmod(int(kinds[k]), len(first)) for k in parts]
            level = [level[a] + first[b] for a, b in pairs]
        self.index = {gram: k for k, gram in enumerate(self.grams)}
        self.texts_of = [np.unique(self.texts[places]) for places in self._places]

    def _keep(self, row: Ints, fewest: int) -> tuple[Ints, list[int]]:
        """Ids anew, from 0 for those in enough texts and -1 elsewhere; and the old ids of those."""
        real = row >= 0
        pairs = np.unique(np.stack([row[real], self.texts[: len(row)][real]]), axis=1)
        counts = np.bincount(pairs[0], minlength=1)
        kept = np.flatnonzero(counts >= fewest)
        new = np.full(len(counts) + 1, -1)
        new[kept] = np.arange(len(kept))
        return np.where(real, new[np.where(real, row, len(counts))], -1), kept.tolist()

    def _add(self, level: Sequence[tuple[str, ...]], row: Ints) -> None:
        """The n-grams of one length, with the places where each begins."""
        order = np.argsort(row, kind="stable")
        bounds = np.searchsorted(row[order], np.arange(len(level) + 1))
        self.grams += level
        self._places += [order[a:b] for a, b in pairwise(bounds)]

    def places(self, gram: int) -> Ints:
        """Where it begins, in the row of all words."""
        return self._places[gram]

    def counts(self, labels: Ints, kinds: int) -> NDArray[np.int64]:
        """Texts with each n-gram by their label, (grams, kinds)."""
        found = np.zeros((len(self.grams), kinds), dtype=np.int64)
        for gram, texts in enumerate(self.texts_of):
            found[gram] = np.bincount(labels[texts], minlength=kinds)
        return found

    def beside(self, places: Ints, step: int) -> Ints:
        """The word `step` places on from each of these, -1 outside of its text."""
        at = np.clip(places + step, 0, len(self.words) - 1)
        same = (self.texts[at] == self.texts[places]) & (at == places + step)
        return np.where(same, self.words[at], -1)
