"""The words that say something else of a field: what a text must not have beside a fact."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from dlm_controls.semantic.e2e import oracle, tables
from dlm_core.vocab import Vocab

_SMALL = frozenset(("the", "a", "of", "by", "out", "yes", "no", "food", "£", "-"))
_NUMBERS = frozenset(("1", "3", "5", "20", "25", "30"))
_CHILDREN = frozenset(["family", "families", "child", "children", "kid", "kids", "adult", "adults"])


@lru_cache(maxsize=512)
def other_words(field: str, value: str | None) -> frozenset[str]:
    """Words, in lower case, of values that the asked one excludes; of all if none is asked.

    A word that values of another field have as well (`Indian` in `Raja Indian Cuisine`, `high`)
    says nothing by itself and is not among them.
    """
    barred: set[str] = set()
    kept = set(_SMALL | _NUMBERS)
    for other, values in tables.VALUES.items():
        for v in values:
            words = {word.casefold() for word in v.split()}
            same = other == field and (value is None or oracle.exclude(field, value, v))
            (barred if same else kept).update(words)
    if field == "familyFriendly" and value is None:
        barred |= _CHILDREN
    return frozenset(barred - kept)


def barred_ids(facts: Iterable[tuple[str, str | None]], vocab: Vocab) -> tuple[int, ...]:
    """Ids of the words that none of these facts leaves room for, in any case."""
    words = {word for field, value in facts for word in other_words(field, value)}
    return tuple(i for i, word in enumerate(vocab.words) if word.casefold() in words)
