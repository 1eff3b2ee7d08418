"""Minimal DFAs over words: compiled from patterns, combined. Light: imports no torch.

The DFA reads word classes: each word the pattern names is one, all other words together another.
So its size depends on the pattern and not on the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from dlm_controls.pattern.notation import Choice, Node, Wildcard, Word, words_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_K = TypeVar("_K")
MAX_STATES = 4096
"""Of a DFA, before it is minimised; twelve one-word keywords still fit."""


class TooManyStatesError(ValueError):
    """The DFA would have more than `MAX_STATES` states."""


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
        nfa = _Nfa()
        final = nfa.add(nodes, 0)
        words = tuple(dict.fromkeys(word.text for word in words_of(nodes)))

        def step(states: frozenset[int]) -> list[frozenset[int]]:
            return [nfa.step(states, word) for word in (*words, None)]

        return _explore(words, nfa.closure({0}), step, lambda states: final in states)

    @classmethod
    def containing(cls, phrase: Sequence[str]) -> Automaton:
        """Every text in which these words stand side by side."""
        return cls.compile((Wildcard.RUN, *map(Word, phrase), Wildcard.RUN))

    @property
    def empty(self) -> bool:
        """No text is accepted."""
        return not bool(self.accepting.any())

    def accepts(self, words: Iterable[str]) -> bool:
        """Does it accept this text?"""
        return bool(self.accepting[self._walk(words)[-1]])

    def stuck_at(self, words: Sequence[str]) -> int | None:
        """Index of the first word after which no text is accepted, if there is one."""
        import numpy as np  # late: listing controls should not wait for it

        live = self.accepting
        while not np.array_equal(grown := live | live[self.table].any(1), live):
            live = grown
        dead = (k for k, state in enumerate(self._walk(words)[1:]) if not live[state])
        return next(dead, None)

    def lengths(self, limit: int) -> frozenset[int]:
        """Numbers of words, up to `limit`, of the texts it accepts."""
        import numpy as np

        found = set()
        states = np.zeros(1, dtype=np.int64)
        for n in range(limit + 1):
            if self.accepting[states].any():
                found.add(n)
            states = np.unique(self.table[states])
        return frozenset(found)

    def __invert__(self) -> Automaton:
        return Automaton(self.words, self.table, ~self.accepting)

    def __and__(self, other: Automaton) -> Automaton:
        words = tuple(dict.fromkeys(self.words + other.words))
        left, right = self._table_over(words).tolist(), other._table_over(words).tolist()

        def step(pair: tuple[int, int]) -> Iterable[tuple[int, int]]:
            return zip(left[pair[0]], right[pair[1]], strict=True)

        def accepting(pair: tuple[int, int]) -> bool:
            return bool(self.accepting[pair[0]] and other.accepting[pair[1]])

        return _explore(words, (0, 0), step, accepting)

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


class _Nfa:
    """States with edges; a label is a word, or ONE for any."""

    def __init__(self) -> None:
        self.edges: list[list[tuple[str | Wildcard, int]]] = [[]]
        self.free: list[list[int]] = [[]]
        """Steps without a word."""

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
                self.edges[end].append((Wildcard.ONE, end))
            else:
                label = node.text if isinstance(node, Word) else node
                self.edges[state].append((label, end))
            state = end
        return state

    def closure(self, states: Iterable[int]) -> frozenset[int]:
        """`states` and what can be reached from them without a word."""
        found = set(states)
        todo = list(found)
        while todo:
            new = [s for s in self.free[todo.pop()] if s not in found]
            found.update(new)
            todo += new
        return frozenset(found)

    def step(self, states: Iterable[int], word: str | None) -> frozenset[int]:
        """The states after `word`; None is a word that no edge names."""
        return self.closure(
            end for s in states for label, end in self.edges[s] if label in (word, Wildcard.ONE)
        )


def _explore(
    words: tuple[str, ...],
    start: _K,
    step: Callable[[_K], Iterable[_K]],
    accepting: Callable[[_K], bool],
) -> Automaton:
    """The minimal DFA of the states that can be reached from `start`."""
    numbers = {start: 0}
    order = [start]
    table = []
    for state in order:  # grows while it is walked
        row = []
        for end in step(state):
            if end not in numbers:
                if len(order) == MAX_STATES:
                    raise TooManyStatesError(f"needs more than {MAX_STATES} states")
                numbers[end] = len(order)
                order.append(end)
            row.append(numbers[end])
        table.append(row)
    return _minimal(words, table, [accepting(state) for state in order])


def _minimal(
    words: tuple[str, ...], rows_of: Sequence[Sequence[int]], accepts: Sequence[bool]
) -> Automaton:
    """Merge states that no text tells apart (Moore's refinement)."""
    import numpy as np

    table, accepting = np.array(rows_of), np.array(accepts)
    blocks, count = accepting.astype(np.int64), 0
    while True:
        rows = np.column_stack([blocks, blocks[table]])
        seen: dict[bytes, int] = {}  # numbered in the order of the states, so the start is 0
        blocks = np.array([seen.setdefault(row.tobytes(), len(seen)) for row in rows])
        if len(seen) == count:
            break
        count = len(seen)
    _, first = np.unique(blocks, return_index=True)
    return Automaton(words, blocks[table[first]], accepting[first])
