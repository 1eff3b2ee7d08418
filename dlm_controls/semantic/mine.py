"""How values are said: phrases that go with a value far more than without it.

An n-gram g says the value v of a field if

* p(v | g), over all texts with g, is surely high (Wilson's lower bound), and far above p(v);
* no value of another field goes with g as well and has g in more of its texts, so that what a field
  owes to another (all pubs of this name are cheap) is no phrase of it;
* it says v whatever stands beside it: it still does where the usual neighbours do not. So `family
  friendly` is a phrase, and `friendly`, which says it only after `family` or `kid`, is none;
* occurrences inside a longer phrase of another value do not count: `not family friendly`.

Of those, what contains another phrase of v is left out, unless it also contains one of another
value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlm_controls.semantic.ngrams import LONGEST, Ints, NGrams
from dlm_controls.semantic.words import comparable, find
from dlm_core.evaluation.intervals import wilson

Gram = tuple[str, ...]
_SURE = 0.75  # p(v | g) at least, of any phrase
_OWN = 0.6  # of the value's own words, among texts whose field is known: a label may be left out
_MOSTLY = 0.4  # beside each usual neighbour
_BESIDE = 0.65  # where the usual neighbours are not
_USUAL = 0.8  # share of the occurrences that those neighbours make up
_FEWEST = 4  # texts with a phrase
_SPELT = 0.2  # of the texts with a value that have its own words: then they are what is put
_COMMON = 0.02  # of the texts with a value, that have a phrase which is put
_CLEAR = 0.85  # of a phrase that is put into texts, where the value's own words are less
_OFTEN = 0.05  # share of the occurrences beside which a usual neighbour stands
_LIFT, _FEW = 8.0, 6  # of neighbours that go with a phrase: above their rate; and how many
_EVERYWHERE = 0.6  # of all texts have a word that says nothing of what it stands beside
_DETERMINED = 0.7  # share of such neighbours that makes them part of the phrase
_MOST = 12  # phrases that are put into texts
_ROUNDS = 3
_TRUST = 0.9  # of Wilson's interval, whose lower end is passed in 95%


@dataclass(frozen=True)
class Phrase:
    """A phrase of a value: its comparable words, and in how many texts with and without it."""

    words: Gram
    hits: int
    texts: int


@dataclass(frozen=True)
class Said:
    """How a value is said.

    Attributes:
        phrases: what says it, those in the most of its texts first.
        whole: what can be put into a text to say it, best first.
    """

    phrases: list[Phrase]
    whole: list[Gram]


def mine(
    texts: Sequence[Sequence[str]],
    fields: Mapping[str, Sequence[str | None]],
    wanted: Collection[str],
) -> dict[str, dict[str, Said]]:
    """Phrases of each value of the wanted fields.

    Args:
        texts: comparable words.
        fields: of each field its value in each text, None where it has none.
        wanted: fields; the others only keep what is theirs.
    """
    grams = NGrams(texts, _FEWEST)
    miners = {field: _Field(grams, values) for field, values in fields.items()}
    # p(g | v), the largest of each field, and the p(v | g) that goes with it
    recall = {
        f: (m.counts[:, :-1] / np.maximum(m.sizes, 1)).max(1, initial=0.0)
        for f, m in miners.items()
    }
    share = {f: m.share.max(1, initial=0.0) for f, m in miners.items()}
    found = {}
    for field in wanted:
        miner = miners[field]
        kept = {value for f in miners if f not in wanted for value in miners[f].names}
        miner.names_of_others = {word for value in kept for word in comparable(value)}
        others = [f for f in miners if f != field]
        for f in others:
            miner.taken |= (share[f] >= 0.95 * share[field]) & (recall[f] > recall[field])
        found[field] = miner.phrases()
    return found


def _surely(hits: int, texts: int) -> float:
    """The share of these texts, as low as it may be."""
    return wilson(hits, texts, _TRUST).low if texts else 0.0


def _minimal(grams: Iterable[Gram]) -> list[Gram]:
    """Those that contain no other."""
    found: list[Gram] = []
    for gram in sorted(grams, key=len):
        if not any(find(gram, shorter) >= 0 for shorter in found):
            found.append(gram)
    return found


class _Field:
    """The values of one field, and the n-grams that go with each."""

    def __init__(self, grams: NGrams, values: Sequence[str | None]) -> None:
        self.grams = grams
        self.names = sorted({value for value in values if value is not None})
        known = {name: k for k, name in enumerate(self.names)}
        self.none = len(self.names)
        labels = [self.none if v is None else known[v] for v in values]
        self.labels = np.array(labels, dtype=np.int64)
        self.sizes = np.bincount(self.labels, minlength=self.none + 1)[:-1]
        self.counts = grams.counts(self.labels, self.none + 1)  # (G, K + 1)
        self.share = self.counts[:, :-1] / np.maximum(self.counts.sum(1, keepdims=True), 1)
        self.base = self.sizes / len(self.labels)
        self.names_of_others: set[str] = set()
        """Words of names, which are part of no phrase."""
        self.taken: NDArray[np.bool_] = np.zeros(len(grams.grams), dtype=bool)

    def phrases(self) -> dict[str, Said]:
        """Of each value, those in the most of its texts first."""
        likely = (self.share >= np.maximum(_MOSTLY, 0.8 * self.base)) & ~self.taken[:, None]
        likely &= self.counts[:, :-1] >= _FEWEST
        mine = {k: np.flatnonzero(likely[:, k]).tolist() for k in range(self.none)}
        for k, name in enumerate(self.names):
            own = self.grams.index.get(comparable(name))
            if own is not None and own not in mine[k] and self.counts[own, k] >= _FEWEST:
                mine[k].append(own)
        said: dict[int, dict[int, Ints]] = {k: {} for k in mine}
        for _ in range(_ROUNDS):
            inside = {k: self._reach(said[k]) for k in mine}
            said = {
                k: self._accepted(k, mine[k], [inside[u] for u in mine if u != k]) for k in mine
            }
        found = {}
        short = {k: self._shortest(k, said[k]) for k in mine}
        for k, name in enumerate(self.names):
            apart = [g for u, grams in short.items() if u != k for g in grams]
            chosen = dict.fromkeys([*short[k], *self._blocking(said[k], apart)])
            phrases = [
                Phrase(self.grams.grams[g], *self._texts(k, said[k][g], False)) for g in chosen
            ]
            phrases.sort(key=lambda phrase: -phrase.hits)
            others = [reach for u, reach in inside.items() if u != k]
            found[name] = Said(phrases, self._whole(k, phrases, others))
        return found

    def _reach(self, said: Iterable[int]) -> Ints:
        """Of each place, how far the phrases reach that begin at it or before."""
        ends = np.zeros(len(self.grams.words), dtype=np.int64)
        for gram in said:
            places = self.grams.places(gram)
            ends[places] = np.maximum(ends[places], places + len(self.grams.grams[gram]))
        return np.maximum.accumulate(ends) if len(ends) else ends

    def _free(self, gram: int, others: Sequence[Ints]) -> Ints:
        """Its places that lie in no longer phrase of another value."""
        places = self.grams.places(gram)
        for reach in others:
            places = places[reach[places] < places + len(self.grams.grams[gram])]
        return places

    def _accepted(self, k: int, mine: Sequence[int], others: Sequence[Ints]) -> dict[int, Ints]:
        """The n-grams that say value k, each with the places where it does."""
        found = {}
        own = comparable(self.names[k])
        for gram in mine:
            words = self.grams.grams[gram]
            places = self._free(gram, others)
            is_own = words == own
            hits, texts = self._texts(k, places, is_own)
            sure = max(_SURE, (1 + self.base[k]) / 2)
            enough = hits / max(texts, 1) >= _OWN if is_own else _surely(hits, texts) >= sure
            if hits >= _FEWEST and enough and self._anywhere(k, places, len(words), is_own):
                found[gram] = places
        return found

    def _texts(self, k: int, places: Ints, known: bool) -> tuple[int, int]:
        """Texts of value k with one of these places, and of all; of all known if asked."""
        labels = self.labels[np.unique(self.grams.texts[places])]
        return int((labels == k).sum()), int((labels != self.none).sum() if known else len(labels))

    def _anywhere(self, k: int, places: Ints, size: int, is_own: bool) -> bool:
        """Whether it says the value also where its usual neighbours are not."""
        for step in (-1, size):
            beside = self.grams.beside(places, step)
            kinds, back, counts = np.unique(beside, return_inverse=True, return_counts=True)
            order = np.argsort(-counts, kind="stable")
            for one in order[counts[order] >= max(_FEWEST, _OFTEN * len(places))]:
                hits, texts = self._texts(k, places[back == one], is_own)
                if texts and hits / texts < _MOSTLY:
                    return False  # beside this neighbour it says something else
            before = np.cumsum(counts[order]) - counts[order]
            rare = np.zeros(len(kinds), dtype=bool)
            rare[order[before >= _USUAL * len(places)]] = True
            hits, texts = self._texts(k, places[rare[back]], is_own)
            if texts >= _FEWEST and hits / texts < (_OWN if is_own else _BESIDE):
                return False
        return True

    def _shortest(self, k: int, said: Mapping[int, Ints]) -> list[int]:
        """Those that contain no other, and say something in texts without the better ones."""
        words = self.grams.grams
        own = comparable(self.names[k])
        short = _minimal(words[g] for g in said)
        kept = [g for g in said if words[g] in short or words[g] == own]
        covered = np.zeros(len(self.labels), dtype=bool)
        found = []
        sure = self.share[:, k] >= _SURE  # wherever it stands
        for gram in sorted(kept, key=lambda g: (words[g] != own, not sure[g], -len(said[g]))):
            texts = np.unique(self.grams.texts[said[gram]])
            rest = self.labels[texts[~covered[texts]]]
            hits = int((rest == k).sum())
            if words[gram] == own or (hits >= _FEWEST and hits / len(rest) >= _BESIDE):
                found.append(gram)
                covered[texts] = True
        return found

    def _blocking(self, said: Iterable[int], others: Sequence[int]) -> list[int]:
        """The shortest that contain a phrase of another value, of which they are the contrary."""
        words = self.grams.grams
        found: list[int] = []
        for gram in sorted(said, key=lambda g: len(words[g])):
            denied = [o for o in others if find(words[gram], words[o]) >= 0 and o != gram]
            held = [h for h in found if find(words[gram], words[h]) >= 0]
            if any(all(find(words[h], words[o]) < 0 for h in held) for o in denied):
                found.append(gram)
        return found

    def _units(self, words: Gram, own: Gram) -> set[Gram]:
        """The phrase, or what its usual neighbours make of it: `coffee` is of `coffee shop`."""
        if words == own or len(words) >= LONGEST:
            return {words}
        places = self.grams.places(self.grams.index[words])
        for step in (-1, len(words)):
            kinds, counts = np.unique(self.grams.beside(places, step), return_counts=True)
            share = counts / len(places)
            usual = np.where(kinds >= 0, self.grams.rates[kinds], 1.0)
            common = self.grams.spread[kinds] > _EVERYWHERE
            bound = [
                (self.grams.names[w],)
                for w in kinds[(share >= _OFTEN) & (share >= _LIFT * usual) & ~common].tolist()
                if self.grams.names[w] not in self.names_of_others
            ]
            longer = [side + words if step < 0 else words + side for side in bound]
            longer = [one for one in longer if one in self.grams.index]
            places_of = sum(len(self.grams.places(self.grams.index[one])) for one in longer)
            if places_of >= _DETERMINED * len(places) and len(longer) <= _FEW:
                return set().union(*(self._units(one, own) for one in longer))
        return {words}

    def _whole(self, k: int, phrases: Sequence[Phrase], others: Sequence[Ints]) -> list[Gram]:
        """Phrases that can be put into a text, the value's own words in them if any has those."""
        own = comparable(self.names[k])
        units = {unit for p in phrases[:_MOST] for unit in self._units(p.words, own)}
        gram = self.grams.index.get(own)
        spelt = gram is not None and self.counts[gram, k] >= _SPELT * self.sizes[k]
        rated: dict[Gram, tuple[float, int]] = {}
        if own in units and spelt:
            units |= {g for g in self.grams.grams if len(g) > len(own) and find(g, own) >= 0}
        for unit in units - {own} if not spelt else units:
            places = self._free(self.grams.index[unit], others)
            hits, texts = self._texts(k, places, False)
            rated[unit] = _surely(hits, texts), hits
        with_own = {g for g in rated if spelt and find(g, own) >= 0}
        if not spelt:
            pass
        elif own in rated and rated[own][0] < _CLEAR:
            clear = {g for g in with_own if rated[g][0] >= _CLEAR}
            clear = {g for g in clear if not any(h != g and find(g, h) >= 0 for h in clear)}
            with_own = set().union(*(self._units(g, own) for g in clear)) or {own}
        elif own in rated:
            with_own = {own}
        common = _COMMON * self.sizes[k]
        chosen = with_own or {g for g, (p, n) in rated.items() if p >= _SURE and n >= common}
        return sorted(chosen, key=lambda g: (-rated[g][1], g))[:_MOST]
