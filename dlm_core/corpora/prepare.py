"""Texts of any corpus to texts as a model sees them: tokens, case, end marks, sentence windows.

    settings, told = learn(examples, TextConfig(case="true", sentences=(1, 3)))
    texts = prepare(examples, settings)

A model's heads, writer and teacher read texts prepared with the settings of the model, which its
bundle keeps (`ModelInfo.text`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from random import Random

from dlm_core.config import AS_THEY_ARE, TextConfig
from dlm_core.corpora.example import Example
from dlm_core.corpora.truecase import is_small, learn_capitals, true_case
from dlm_core.natural import tokenise

_ENDS = (".", "!", "?", "…")
"""A token of these characters ends a sentence: `?!` does, too."""
_STRAIGHT = ('"', "'")
_CLOSING = ("”", "’", ")", "]")
_WEAK = (",", ";", ":", "-")
_QUOTES = {"``": '"', "''": '"'}
_NOT = re.compile(r"(?<=[^\W\d_]) (?=n['’]t(?: |$))", re.IGNORECASE)
"""The blank of a treebank's `could n't`."""
Words = list[str]


def learn(examples: Sequence[Example], text: TextConfig) -> tuple[TextConfig, str | None]:
    """The settings with what they need to learn from the corpus, and what is to be told of it.

    Args:
        examples: as a reader gives them.
        text: case `true` learns the words that have capitals, unless it has some already.
    """
    if text.case != "true" or text.capitals is not None:
        return text, None
    split = [_sentences(example, text) for example in examples]
    cased, small = list[list[Words]](), list[list[Words]]()
    for sentences in split:
        (small if is_small(w for s in sentences for w in s) else cased).append(sentences)
    capitals = learn_capitals(chain.from_iterable(cased), chain.from_iterable(small))
    told = (
        f"case: {len(split) - len(cased):,} of {len(split):,} texts are in small letters; "
        f"{len(capitals):,} words with capitals are learnt from the others"
    )
    if not cased:
        told = "case: no text of the corpus has capitals: only first words and 'I' will have them"
    return text.model_copy(update={"capitals": capitals}), told


def prepare(examples: Sequence[Example], text: TextConfig) -> list[Example]:
    """Texts of a corpus as a model with these settings sees them.

    What is cut into windows gives several, each with the fields of the whole text. Which windows is
    drawn by the text alone, so that a text is cut in the same way wherever it stands.

    Args:
        examples: as a reader gives them.
        text: the settings; without its `capitals` case `true` learns them here.
    """
    text, _ = learn(examples, text)
    if text == AS_THEY_ARE:
        return list(examples)
    capitals = {word.lower(): word for word in text.capitals or ()}
    prepared = []
    for example in examples:
        sentences = _sentences(example, text)
        if text.case == "lower":
            sentences = [[word.lower() for word in words] for words in sentences]
        elif text.case == "true" and is_small(word for words in sentences for word in words):
            sentences = [true_case(words, capitals) for words in sentences]
        for window in _windows(sentences, text.sentences):
            parts = tuple(" ".join(words) for words in window)
            prepared.append(Example(" ".join(parts), example.fields, parts))
    return prepared


def _sentences(example: Example, text: TextConfig) -> list[Words]:
    """The tokens of a text, sentence by sentence."""
    if example.sentences:
        sentences = [words for part in example.sentences if (words := _tokens(part, text))]
    else:
        sentences = list(split_sentences(_tokens(example.text, text)))
    if text.full_stop:
        for words in sentences if example.sentences else sentences[-1:]:
            if not _ended(words):
                words[-1:] = ["."] if words[-1] in _WEAK else [words[-1], "."]
    return sentences


def _tokens(text: str, settings: TextConfig) -> Words:
    """Tokens; a treebank's `could n't` and quotes are written as everywhere else."""
    if not settings.tokenise:
        return text.split()
    return [_QUOTES.get(token, token) for token in tokenise(_NOT.sub("", text))]


def split_sentences(words: Sequence[str]) -> Iterator[Words]:
    """Sentences of a text, by their end marks.

    A mark before a word in small letters ends none (`" Stop ! " he said .`), unless the whole text
    is in small letters.
    """
    small = is_small(words)
    start, ended = 0, False
    quotes: Counter[str] = Counter()
    for k, word in enumerate(words):
        closes = word in _CLOSING or _is_end(word) or quotes[word] % 2 == 1
        goes_on = k > 0 and _trails(words[k - 1]) if small else word[0].islower()
        if ended and not closes and not goes_on:
            yield list(words[start:k])
            start, ended = k, False
            quotes.clear()
        ended = _is_end(word) or (ended and word in (*_CLOSING, *_STRAIGHT))
        quotes[word] += word in _STRAIGHT
    if start < len(words):
        yield list(words[start:])


def _ended(words: Sequence[str]) -> bool:
    """Does an end mark stand last, or before closing quotes and brackets?"""
    rest = (word for word in reversed(words) if word not in (*_CLOSING, *_STRAIGHT))
    return _is_end(next(rest, " "))


def _is_end(token: str) -> bool:
    return all(character in _ENDS for character in token)


def _trails(token: str) -> bool:
    """Three dots end a sentence or stand within one."""
    return token == "…" or token.count(".") > 1


def _windows(sentences: list[Words], sizes: tuple[int, int] | None) -> Iterator[list[Words]]:
    """A text whole, or in parts of so many sentences that follow each other."""
    if sizes is None or not sentences:
        yield sentences
        return
    least, most = sizes
    draws = Random("\n".join(" ".join(words) for words in sentences))
    start = 0
    while left := len(sentences) - start:
        fitting = [n for n in range(least, most + 1) if n == left or n <= left - least]
        size = draws.choice(fitting) if fitting else min(left, most)
        yield sentences[start : start + size]
        start += size
