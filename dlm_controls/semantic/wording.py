"""The texts in which a value's words occur, as automata: what patterns must leave room for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from dlm_controls.pattern.automaton import Automaton
from dlm_controls.pattern.notation import Choice, Node, Wildcard, Word
from dlm_controls.semantic.reader import realisations, words_of
from dlm_controls.semantic.tables import VENUES

if TYPE_CHECKING:
    from dlm_core.vocab import Vocab


def wordings(field: str, value: str, vocab: Vocab) -> Iterator[Automaton]:
    """For each way to say it the texts that do, in all spellings that the vocabulary has.

    Of a yes/no field these are its paraphrases, since its values are no words of the text; what
    says "yes" can say "no" behind a "not".
    """
    phrases = [value]
    if field == "familyFriendly":
        said = ("yes",) if value == "yes" else ("no", "yes")
        phrases = [" ".join(p) for v in said for p in realisations(field, v)]
        phrases += [f"family {venue}" for venue in sorted(VENUES)]
    for words in dict.fromkeys(map(words_of, phrases)):
        if (found := containing(words, tuple(vocab.plain_words))) is not None:
            yield found


@lru_cache(maxsize=512)
def containing(phrase: tuple[str, ...], vocab: tuple[str, ...]) -> Automaton | None:
    """Every text in which these comparable words stand side by side; None if there can be none."""
    spelt = _spellings(vocab)
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
def _spellings(vocab: tuple[str, ...]) -> dict[tuple[str, ...], list[str]]:
    """Comparable words -> the tokens that have them."""
    found: dict[tuple[str, ...], list[str]] = {}
    for word in vocab:
        found.setdefault(words_of(word), []).append(word)
    return found
