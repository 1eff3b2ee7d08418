"""The texts of a recipe, and what a model will see of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dlm_core.corpora import CorpusReader, Example, learn, prepare, read_corpus
from dlm_core.data_check import DataReport, check_data, hold_out
from dlm_core.vocab import Vocab

if TYPE_CHECKING:
    from dlm_core.config import TextConfig, TrainConfig
    from dlm_core.corpora.fields import FieldReport
    from dlm_core.recipes.recipe import Recipe
    from dlm_core.training.told import Told


@dataclass(frozen=True)
class Texts:
    """Texts to train on, others that are held out, and how both are called."""

    train: list[Example]
    valid: list[Example]
    told: str
    names: tuple[str, str]

    def prepared(self, text: TextConfig) -> Texts:
        """The same as a model with these settings sees them."""
        return replace(self, train=prepare(self.train, text), valid=prepare(self.valid, text))

    @property
    def digest(self) -> str:
        """Of texts and fields, in their order."""
        digest = hashlib.sha256()
        for part in (self.train, self.valid):
            for example in part:
                row = repr((example.text, sorted(example.fields.items())))
                digest.update(row.encode("utf-8", "surrogatepass") + b"\n")
            digest.update(b"\n")
        return digest.hexdigest()[:16]


def read_texts(
    corpus: str, valid: str | None, encoding: str | None, readers: dict[str, CorpusReader]
) -> Texts:
    """Read a corpus, and hold some of it out where no other is given for that.

    Raises:
        UsageError: a corpus cannot be read, or has but one text.
        MissingError: a file cannot be opened.
    """
    train = read_corpus(corpus, readers, encoding)
    if valid is not None:
        held_out = read_corpus(valid, readers, encoding)
        return Texts(train, held_out, f"all of {valid}, for validation", (corpus, valid))
    train, held_out, told = hold_out(train)
    return Texts(train, held_out, told, (corpus, f"{corpus}, held out"))


def read_all(recipe: Recipe, told: Told) -> tuple[Recipe, dict[str, Texts]]:
    """The texts of the recipe, "" for its own, and of each head that has a corpus of its own.

    All are prepared as [text] says; the recipe comes back with what that learnt from its corpus.

    Raises:
        UsageError, MissingError: one cannot be read.
    """
    data, readers = recipe.data, recipe.plugins.corpora
    found = {"": read_texts(data.corpus, data.valid, data.encoding, readers)}
    for head in recipe.heads:
        if head.corpus is not None:
            found[head.name] = read_texts(head.corpus, None, head.encoding, readers)
    text, learnt = learn(found[""].train, recipe.lm.text)
    if learnt:
        told.line(learnt)
    return recipe.with_text(text), {name: t.prepared(text) for name, t in found.items()}


def look_at(
    texts: Sequence[str],
    settings: TrainConfig,
    vocab: Vocab | None,
    source: str,
    told: str,
    fields: Sequence[FieldReport] = (),
) -> tuple[DataReport, Vocab]:
    """What a model of these settings will see of a corpus, and its words, `vocab` if given.

    Raises:
        UsageError: too little of it; see `check_data`.
    """
    padded, new = settings.model.length_mode == "padded", vocab is None
    vocab = vocab or Vocab.build(texts, settings.min_count, settings.max_words, settings.pieces)
    report = check_data(
        texts,
        min_count=settings.min_count,
        max_words=settings.max_words,
        pieces=settings.pieces,
        max_len=settings.model.max_len - (2 if padded else 0),
        cuts=padded,
        vocab=vocab,
        new=new,
        held_out=told,
        source=source,
        fields=fields,
    )
    return report, vocab
