"""The texts in which a value's words occur, as automata: what patterns must leave room for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from dlm_controls.pattern.automaton import Automaton
from dlm_controls.pattern.notation import Choice, Node, Wildcard, Word
from dlm_controls.semantic.words import comparable


@lru_cache(maxsize=512)
def containing(
    phrase: tuple[str, ...],
    vocab: tuple[str, ...],
    words_of: Callable[[str], tuple[str, ...]] = comparable,
) -> Automaton | None:
    """Every text in which these comparable words stand side by side; None if there can be none.

    Args:
        phrase: the words.
        vocab: the tokens of texts.
        words_of: gives the comparable words of a token.
    """
    spelt = _spellings(vocab, words_of)
    marks: tuple[Node, ...] = ()  # hyphens and the like, which do not count between words
    if () in spelt:
        mark = Choice(tuple((Word(m),) for m in spelt[()]))
        marks = (Choice(((mark,), ())),) * 2
    ways = []
    for parts in _partitions(phrase):
        if all(part in spelt for part in parts):
            nodes: list[Node] = []
            for part in parts:
                nodes += [*(marks if nodes else ()), Choice(tuple((Word(w),) for w in spelt[part]))]
            ways.append(tuple(nodes))
    if not ways:
        return None
    return Automaton.compile((Wildcard.RUN, Choice(tuple(ways)), Wildcard.RUN))


def _partitions(words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], ...]]:
    """The ways to cut a phrase into tokens: `£ 20` can be one or two."""
    if not words:
        yield ()
    for cut in range(1, len(words) + 1):
        for rest in _partitions(words[cut:]):
            yield (words[:cut], *rest)


@lru_cache(maxsize=8)
def _spellings(
    vocab: tuple[str, ...], words_of: Callable[[str], tuple[str, ...]]
) -> dict[tuple[str, ...], list[str]]:
    """Comparable words -> the tokens that have them."""
    found: dict[tuple[str, ...], list[str]] = {}
    for word in vocab:
        found.setdefault(words_of(word), []).append(word)
    return found
