"""Lemmas of words in their texts, by spaCy's small English pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

from dlm_controls.pos.oracle import PIPELINES


class Lemma(NamedTuple):
    """Of a word: the word itself and no tag where spaCy is not installed."""

    text: str
    tag: str


def lemmas(texts: Sequence[Sequence[str]]) -> list[list[Lemma]]:
    """The lemma of each word, in small letters, and its universal part of speech."""
    nlp = _pipeline()
    if nlp is None:
        return [[Lemma(word.lower(), "") for word in words] for words in texts]
    from spacy.tokens import Doc

    docs = (Doc(nlp.vocab, words=list(words)) for words in texts)
    read = nlp.pipe(docs, batch_size=256)
    return [[Lemma(token.lemma_.lower(), token.pos_) for token in doc] for doc in read]


@cache
def _pipeline():  # type: ignore[no-untyped-def]
    """spaCy with its lemmatizer; None if it or its model is not installed."""
    name = next(filter(find_spec, PIPELINES), None)
    if find_spec("spacy") is None or name is None:
        return None
    import spacy

    return spacy.load(name, exclude=["parser", "ner"])
