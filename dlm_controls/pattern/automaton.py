"""Minimal DFAs over words: compiled from patterns, combined. Light: imports no torch.

The DFA reads word classes: each word the pattern names is one, all other words together another.
So its size depends on the pattern and not on the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import count as count_from
from typing import TYPE_CHECKING, TypeVar

from dlm_controls.pattern.notation import Choice, Node, Wildcard, Word
from dlm_controls.spelling import Spelling, exact

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_K = TypeVar("_K")
MAX_STATES = 4096
"""Of a DFA, before it is minimised; twelve one-word keywords still fit."""
_MAX_CELLS = 1_000_000
"""States times word classes, and steps through edges: about a second's work."""
_MAX_ROUNDS = 1_000_000
"""Rounds times states while states are merged."""


class TooManyStatesError(ValueError):
    """The DFA would have more than `MAX_STATES` states, or too many words for so many."""


@dataclass(frozen=True, eq=False)
class Automaton:
    """A minimal, complete DFA; state 0 is the start.

    Attributes:
        words: class k is words[k], class len(words) every other word.
        table: (S, len(words) + 1), the state after a word of each class.
        accepting: (S,) bool.
    """

    words: tuple[str, ...]
    table: NDArray[np.int64]
    accepting: NDArray[np.bool_]

    @classmethod
    def compile(cls, nodes: Sequence[Node]) -> Automaton:
        """The DFA of a parsed pattern.

        Raises:
            TooManyStatesError: see `MAX_STATES`.
        """
        import numpy as np  # late: listing controls should not wait for it

        nfa = _Nfa()
        final = nfa.add(nodes, 0)
        alike = nfa.alike()
        words = tuple(dict.fromkeys(alike.values()))
        number = {word: k for k, word in enumerate(words)}

        whole = frozenset({final}) if nodes[-1] is Wildcard.RUN else None

        def step(states: frozenset[int]) -> tuple[list[frozenset[int]], NDArray[np.int64]]:
            other, named = nfa.step(states)
            ends, classes = [other], np.zeros(len(words) + 1, dtype=np.int64)
            for word, end in named.items():
                classes[number[word]] = len(ends)
                ends.append(end)
            if whole is not None:
                ends = [whole if whole <= end else end for end in ends]
            return ends, classes

        nfa.keep = {final, *(s for s, edges in enumerate(nfa.edges) if edges)}
        classes = len(words) + 1
        table, accepting = explore(classes, nfa.closure({0}), step, lambda states: final in states)
        _bounded(len(table), len(alike) + 1)
        columns = [*(number[word] for word in alike.values()), len(words)]
        return Automaton(tuple(alike), table[:, columns], accepting)

    @classmethod
    def containing(cls, phrase: Sequence[str | Spelling]) -> Automaton:
        """Every text in which these words stand side by side."""
        items = (Word(item) if isinstance(item, str) else item for item in phrase)
        return cls.compile((Wildcard.RUN, *items, Wildcard.RUN))

    def within(self, known: Collection[str]) -> Automaton:
        """The same among texts of the words of `known`: it names no others."""
        words = tuple(word for word in self.words if word in known)
        return self if words == self.words else self._over(words)

    def _over(self, words: tuple[str, ...]) -> Automaton:
        table = self._table_over(words)

        def step(state: int) -> tuple[list[int], NDArray[np.int64]]:
            import numpy as np

            ends, classes = np.unique(table[state], return_inverse=True)
            return ends.tolist(), classes

        found = explore(len(words) + 1, 0, step, lambda state: bool(self.accepting[state]))
        return Automaton(words, *found)

    @property
    def empty(self) -> bool:
        """No text is accepted."""
        return not bool(self.accepting.any())

    def accepts(self, words: Iterable[str]) -> bool:
        """Does it accept this text?"""
        return bool(self.accepting[self._walk(words)[-1]])

    def spans(self, words: Sequence[str]) -> list[tuple[int, int]]:
        """Where it accepts some words in a row: the fewest from each first one."""
        return [
            (start, start + count)
            for start in range(len(words))
            for count in [
                next((k for k, s in enumerate(self._walk(words[start:])) if self.accepting[s]), 0)
            ]
            if count
        ]

    def stuck_at(self, words: Sequence[str]) -> int | None:
        """Index of the first word after which no text is accepted, if there is one."""
        import numpy as np

        live = self.accepting
        while not np.array_equal(grown := live | live[self.table].any(1), live):
            live = grown
        dead = (k for k, state in enumerate(self._walk(words)[1:]) if not live[state])
        return next(dead, None)

    def lengths(self, limit: int) -> frozenset[int]:
        """Numbers of words, up to `limit`, of the texts it accepts."""
        import numpy as np

        found: set[int] = set()
        states, before = np.zeros(len(self.table), dtype=bool), None
        states[0] = True
        for n in range(limit + 1):
            if self.accepting[states].any():
                found.add(n)
            if before is not None and np.array_equal(states, before):  # and so for ever
                return frozenset(found | (set(range(n, limit + 1)) if n in found else set()))
            before, states = states, np.zeros_like(states)
            states[self.table[before].ravel()] = True
        return frozenset(found)

    def __invert__(self) -> Automaton:
        return Automaton(self.words, self.table, ~self.accepting)

    def __and__(self, other: Automaton) -> Automaton:
        import numpy as np

        words = tuple(dict.fromkeys(self.words + other.words))
        for one in (self, other):
            _bounded(len(one.table), len(words) + 1)
        left, right = self._table_over(words), other._table_over(words)
        width = len(right)

        def step(pair: int) -> tuple[list[int], NDArray[np.int64]]:
            ends, classes = np.unique(
                left[pair // width] * width + right[pair % width], return_inverse=True
            )
            return ends.tolist(), classes

        def accepting(pair: int) -> bool:
            return bool(self.accepting[pair // width] and other.accepting[pair % width])

        return Automaton(words, *explore(len(words) + 1, 0, step, accepting))

    def _walk(self, words: Iterable[str]) -> list[int]:
        classes = {word: k for k, word in enumerate(self.words)}
        states = [0]
        for word in words:
            states.append(int(self.table[states[-1], classes.get(word, len(self.words))]))
        return states

    def _table_over(self, words: Sequence[str]) -> NDArray[np.int64]:
        """The table with a column for each of `words`, those it does not name among them."""
        other = len(self.words)
        columns = {word: k for k, word in enumerate(self.words)}
        return self.table[:, [columns.get(word, other) for word in words] + [other]]


_ANY = Wildcard.ONE


class _Nfa:
    """States with edges; a label is a word, or ONE for any."""

    def __init__(self) -> None:
        self.edges: list[list[tuple[str | Wildcard, int]]] = [[]]
        self.free: list[list[int]] = [[]]
        """Steps without a word."""
        self.words: dict[str, None] = {}
        """The labels in the order in which they were asked for."""
        self.keep: set[int] = set()
        """States that matter in a set of them: those with edges, and the final one."""
        self.work = 0
        self._reached: dict[int, frozenset[int]] = {}

    def state(self) -> int:
        self.edges.append([])
        self.free.append([])
        return len(self.edges) - 1

    def add(self, nodes: Sequence[Node], state: int) -> int:
        """Append a sequence behind `state`; returns its end."""
        for node in nodes:
            end = self.state()
            if isinstance(node, Choice):
                for sequence in node.sequences:
                    self.free[self.add(sequence, state)].append(end)
            elif node is Wildcard.RUN:
                self.free[state].append(end)
                self.edges[end].append((_ANY, end))
            elif isinstance(node, Wildcard):
                self.edges[state].append((node, end))
            else:
                self._spell(exact(node.text) if isinstance(node, Word) else node, state, end)
            state = end
        return state

    def _spell(self, spelling: Spelling, state: int, end: int) -> None:
        """All ways to write a word or phrase, from `state` to `end`."""
        between = {place: self.state() for place in range(1, spelling.end)}
        at = {0: state, **between, spelling.end: end}
        for start, token, stop in spelling.edges:
            self.edges[at[start]].append((token, at[stop]))
            self.words.setdefault(token)

    def closure(self, states: Iterable[int]) -> frozenset[int]:
        """What matters of `states` and of what can be reached from them without a word."""
        return frozenset().union(*map(self._from, states))

    def _from(self, state: int) -> frozenset[int]:
        if state not in self._reached:
            found, todo = {state}, [state]
            while todo:
                new = [s for s in self.free[todo.pop()] if s not in found]
                found.update(new)
                todo += new
            self._spend(4 * len(found))
            self._reached[state] = frozenset(found & self.keep)
        self._spend(len(self._reached[state]))
        return self._reached[state]

    def _spend(self, steps: int) -> None:
        self.work += steps
        if self.work > _MAX_CELLS:
            raise TooManyStatesError("is too large: it holds too many words and gaps")

    def step(self, states: Iterable[int]) -> tuple[frozenset[int], dict[str, frozenset[int]]]:
        """The states after a word that no edge names, and those after each that one does."""
        always: list[int] = []
        named: dict[str, list[int]] = {}
        for state in states:
            self._spend(len(self.edges[state]))
            for label, end in self.edges[state]:
                if isinstance(label, str):
                    named.setdefault(label, []).append(end)
                else:
                    always.append(end)
        other = self.closure(always)
        return other, {word: other | self.closure(ends) for word, ends in named.items()}

    def alike(self) -> dict[str, str]:
        """For each word the first that leads wherever it does; the edges of others are dropped."""
        where: dict[str, list[tuple[int, int]]] = {word: [] for word in self.words}
        for state, edges in enumerate(self.edges):
            for label, end in edges:
                if isinstance(label, str):
                    where[label].append((state, end))
        first: dict[tuple[tuple[int, int], ...], str] = {}
        same = {word: first.setdefault(tuple(places), word) for word, places in where.items()}
        kept = {*first.values(), _ANY}
        self.edges = [[edge for edge in edges if edge[0] in kept] for edges in self.edges]
        return same


def _bounded(states: int, classes: int) -> None:
    if states > MAX_STATES:
        raise TooManyStatesError(f"needs more than {MAX_STATES} states")
    if states * classes > _MAX_CELLS:
        raise TooManyStatesError(f"is too large: {classes - 1} words in {states} states")


def explore(
    classes: int,
    start: _K,
    step: Callable[[_K], tuple[list[_K], NDArray[np.int64]]],
    accepting: Callable[[_K], bool],
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The minimal DFA of the states that can be reached from `start`, which is state 0.

    Args:
        classes: C, how many there are of what it reads.
        start: any state.
        step: the states that follow one, and which of them each class leads to, (C,).
        accepting: does a text end well in a state?

    Returns:
        the state after each class, (S, C), and whether a state accepts, (S,).

    Raises:
        TooManyStatesError: see `MAX_STATES`.
    """
    import numpy as np

    numbers = {start: 0}
    order = [start]
    table = []
    for state in order:  # grows while it is walked
        ends, ways = step(state)
        row = []
        for end in ends:
            if end not in numbers:
                _bounded(len(order) + 1, classes)
                numbers[end] = len(order)
                order.append(end)
            row.append(numbers[end])
        table.append(np.array(row, dtype=np.int64)[ways])
    return _minimal(np.array(table), [accepting(state) for state in order])


def _minimal(
    table: NDArray[np.int64], accepts: Sequence[bool]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Merge states that no text tells apart (Moore's refinement)."""
    import numpy as np

    accepting = np.array(accepts)
    blocks, count = accepting.astype(np.int64), 0
    for rounds in count_from(1):
        if rounds * len(table) > _MAX_ROUNDS:
            raise TooManyStatesError("is too long: no text has so many words")
        rows = np.column_stack([blocks, blocks[table]])
        seen: dict[bytes, int] = {}  # numbered in the order of the states, so the start is 0
        blocks = np.array([seen.setdefault(row.tobytes(), len(seen)) for row in rows])
        if len(seen) == count:
            break
        count = len(seen)
    _, first = np.unique(blocks, return_index=True)
    return blocks[table[first]], accepting[first]
