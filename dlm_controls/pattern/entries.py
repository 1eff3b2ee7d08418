"""DFAs over the entries of a vocabulary that spells rare words in pieces. Light: no torch.

A word ends where the next entry does not go on it. So a state is that of the DFA over words before
the current word, with the characters that are spelled of this word, as long as some word that the
DFA names begins so and matters there; else it is a word like others, and its DFA has moved already.

Where the vocabulary does not spell freely, no words but those that the DFA names are spelled.

A word that matters must be spelled as the vocabulary spells it: in texts of the corpus it always
is, and one that is avoided must not come in by other pieces.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from dlm_controls.pattern.automaton import Automaton, explore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dlm_core.vocab import Vocab


class EntryAutomaton(NamedTuple):
    """A minimal, complete DFA over entries; state 0 is the start.

    Attributes:
        ids: class k is the entry ids[k], class len(ids) every other that goes on a word, and the
            last class every other that begins one.
        goes_on: (len(ids) + 2,) bool, of each class.
        table: (S, len(ids) + 2), the state after an entry of each class.
        accepting: (S,) bool.
    """

    ids: tuple[int, ...]
    goes_on: NDArray[np.bool_]
    table: NDArray[np.int64]
    accepting: NDArray[np.bool_]


class _At(NamedTuple):
    """A state: of the DFA over words, and what is spelled of the current word.

    `spelled` is None for a word that matters no more (`state` is that after it), "" where no word
    has begun. `usual` says whether the vocabulary spells it so.
    """

    state: int
    spelled: str | None
    usual: bool = True


_NEVER = _At(-1, None)
"""After a piece that goes on where no word has begun, or a word in other pieces than its own."""


class _Entries:
    """The DFA over entries, its states found one after the other."""

    def __init__(self, automaton: Automaton, vocab: Vocab) -> None:
        import numpy as np

        self.automaton, self.number = automaton, {w: k for k, w in enumerate(automaton.words)}
        self.other = len(automaton.words)
        self.vocab, self.freely = vocab, vocab.spells_freely
        self.steps: dict[str, dict[int, str]] = {"": {}}
        """What is spelled, and what each entry makes of it, on the way to a named word."""
        self.usual: set[tuple[str, int]] = set()
        """Of these the steps of the vocabulary's own spelling."""
        for word in automaton.words:
            ways = vocab.ways(word) if vocab.writes(word) else [(0, vocab.unk, len(word))]
            for start, id_, end in ways:
                self.steps.setdefault(word[:start], {})[id_] = word[:end]
            ends, at = {(start, id_): end for start, id_, end in ways}, 0
            for id_ in vocab.spell(word):
                self.usual.add((word[:at], id_))
                at = ends[at, id_]
        self.ids = sorted({id_ for ends in self.steps.values() for id_ in ends})
        self.goes_on = np.array([*map(vocab.goes_on, self.ids), True, False])
        self._matter: dict[int, set[str]] = {}

    def step(self, here: _At) -> tuple[list[_At], NDArray[np.int64]]:
        """As `explore` has it."""
        import numpy as np

        if here == _NEVER:
            return [here], np.zeros(len(self.goes_on), dtype=np.int64)
        after = self._ended(here)
        going = self.steps.get(here.spelled, {}) if here.spelled else {}
        strange = self._at(here.state, None) if here.spelled else here
        if here.spelled == "" or not self.freely:
            strange = _NEVER
        found = []
        for id_, goes_on in zip((*self.ids, -1, -1), self.goes_on.tolist(), strict=True):
            if not goes_on:
                new = self.steps[""].get(id_), ("", id_) in self.usual
                found.append(_NEVER if after is None else self._at(after, *new))
            elif id_ in going:
                usual = here.usual and (here.spelled, id_) in self.usual
                found.append(self._at(here.state, going[id_], usual))
            else:
                found.append(strange)
        ends = list(dict.fromkeys(found))
        return ends, np.array([ends.index(end) for end in found])

    def accepts(self, here: _At) -> bool:
        """Does a text end well here?"""
        state = None if here == _NEVER else self._ended(here)
        return state is not None and bool(self.automaton.accepting[state])

    def _ended(self, here: _At) -> int | None:
        """The state of the DFA over words if the current word is over; None if it must not be."""
        if not here.spelled:
            return here.state
        if not self._is_word(here.spelled):
            return None
        row = self.automaton.table[here.state]
        after = int(row[self.number.get(here.spelled, self.other)])
        return after if here.usual or after == row[self.other] else None

    def _is_word(self, spelled: str) -> bool:
        """May a word be spelled so, and end here?"""
        return self.freely or spelled in self.number or spelled in self.vocab

    def _at(self, state: int, spelled: str | None, usual: bool = True) -> _At:
        if state not in self._matter:  # beginnings of words that lead elsewhere than others do
            row = self.automaton.table[state]
            words = (
                word
                for word, k in self.number.items()
                if row[k] != row[self.other] or not (self.freely or word in self.vocab)
            )
            self._matter[state] = {word[:end] for word in words for end in range(1, len(word) + 1)}
        if spelled in self._matter[state] or not (spelled is None or self._is_word(spelled)):
            return _At(state, spelled, usual)
        return _At(int(self.automaton.table[state, self.other]), None)


@lru_cache(maxsize=128)
def over_entries(automaton: Automaton, vocab: Vocab) -> EntryAutomaton:
    """The DFA that accepts entries where `automaton` accepts the words that they spell.

    Where they spell one that matters in other pieces than the vocabulary's it does not accept them.
    Made once for each of the automata and vocabularies last asked for.

    Args:
        automaton: over words, all of which the vocabulary writes (`Automaton.within`); UNK stands
            for one that it does not write.
        vocab: has pieces.

    Raises:
        TooManyStatesError: see `MAX_STATES`.
    """
    entries = _Entries(automaton, vocab)
    ids, goes_on = entries.ids, entries.goes_on
    table, accepting = explore(len(goes_on), _At(0, ""), entries.step, entries.accepts)
    # an entry that leads wherever others do needs no class of its own
    others = table[:, [-2 if on else -1 for on in goes_on[:-2]]]
    kept = [k for k, one in enumerate((table[:, :-2] != others).any(0)) if one]
    columns = [*kept, len(ids), len(ids) + 1]
    return EntryAutomaton(
        tuple(ids[k] for k in kept), goes_on[columns], table[:, columns], accepting
    )
