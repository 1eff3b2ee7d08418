"""True-casing: the capitals that a text in small letters would have, learnt from cased texts.

As the truecaser of Moses: a word has the form that it has most often where no sentence begins.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

FEWEST = 2
"""Uses of a word inside sentences from which its capitals are learnt."""
MORE = 3.0
"""How many times as common a word may be in the texts in small letters."""


def is_small(words: Iterable[str]) -> bool:
    """No letter is a capital: the text has lost its case, or never had any."""
    return not any(character.isupper() for word in words for character in word)


def learn_capitals(
    sentences: Iterable[Sequence[str]], small: Iterable[Sequence[str]] = ()
) -> tuple[str, ...]:
    """Words that have capitals inside most of these sentences; and `I`, unless `i` is a word.

    Args:
        sentences: with capitals.
        small: sentences that have lost them. A word that is far more common there is mostly
            another one: the `new` of no `New York`.
    """
    forms: defaultdict[str, Counter[str]] = defaultdict(Counter)
    lost = Counter(word for words in small for word in words)
    seen = 0
    for words in sentences:
        seen += len(words)
        for word in words[first_word(words) + 1 :]:
            forms[word.lower()][word] += 1
    learnt = set()
    for word, counts in forms.items():
        form, uses = counts.most_common(1)[0]
        another = lost[word] > MORE * lost.total() * counts.total() / seen
        if form != word and uses >= FEWEST and 2 * uses > counts.total() and not another:
            learnt.add(form)
    if forms["i"]["i"] <= forms["i"]["I"]:
        learnt.add("I")
    return tuple(sorted(learnt))


def true_case(words: Sequence[str], capitals: Mapping[str, str]) -> list[str]:
    """A sentence in small letters with the capitals of its words and of its beginning.

    Args:
        words: the sentence.
        capitals: words with capitals, by their form in small letters.
    """
    cased = [capitals.get(word, word) for word in words]
    first = first_word(cased)
    if first < len(cased) and cased[first].islower():
        cased[first] = cased[first][0].upper() + cased[first][1:]
    return cased


def first_word(words: Sequence[str]) -> int:
    """The place of the first word that begins with a letter or digit, after opening quotes."""
    return next((k for k, word in enumerate(words) if word[0].isalnum()), len(words))
