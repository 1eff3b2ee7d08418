"""How long the sentences of a corpus are: counted in training, kept in config.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dlm_core.bundle import ModelInfo
from dlm_core.corpora.prepare import split_sentences
from dlm_core.errors import MissingError
from dlm_core.vocab import Vocab

SENTENCES = "sentence_lengths"
"""Key of config.json: how many sentences have n positions, n = 0 .."""


def count_sentences(texts: Sequence[str], vocab: Vocab, most: int) -> dict[str, list[int]]:
    """The entry of config.json; sentences of more than `most` positions are not counted."""
    sentences = [" ".join(words) for text in texts for words in split_sentences(text.split())]
    counts = Counter(map(len, vocab.encode_batch(sentences)))
    return {SENTENCES: [0, *(counts[n] for n in range(1, most + 1))]}


def sentence_lengths(info: ModelInfo) -> tuple[float, ...]:
    """p(n) of the positions of a sentence, n = 0 .. `max_words`; empty if nobody counted them.

    Raises:
        MissingError: the counts of config.json are none.
    """
    counts = info.provenance.get(SENTENCES, [])
    fits = isinstance(counts, list) and all(type(n) is int and n >= 0 for n in counts)
    if not fits or (counts and counts[0]):
        raise MissingError(
            f"{info.path / 'config.json'}: '{SENTENCES}' is no list of numbers of sentences",
            "numbers from 0 on, the first of them 0",
        )
    size = info.max_words + 1
    counts = [*counts, *[0] * size][:size]
    return tuple(n / sum(counts) for n in counts) if any(counts) else ()
