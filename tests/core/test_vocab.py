"""The vocabulary: round trips, specials, the paper's size on E2E, foreign files."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from dlm_core.corpora import read_corpus
from dlm_core.errors import MissingError
from dlm_core.vocab import SPECIALS, Vocab

# whatever the corpus readers can give: words without whitespace, joined by single spaces
WORDS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Z"]), min_size=1, max_size=6).filter(
    lambda w: w.split() == [w] and w not in SPECIALS
)
SENTENCES = st.lists(WORDS, max_size=12).map(" ".join)


@given(corpus=st.lists(SENTENCES, max_size=6))
def test_known_words_come_back(corpus: list[str]) -> None:
    vocab = Vocab.build(corpus, min_count=0)
    for text in corpus:
        assert vocab.decode(vocab.encode(text)) == text
    assert vocab.encode_batch(corpus) == [vocab.encode(text) for text in corpus]


@given(corpus=st.lists(SENTENCES, max_size=6), min_count=st.integers(0, 3))
def test_words_seen_more_than_min_count_are_kept(corpus: list[str], min_count: int) -> None:
    vocab = Vocab.build(corpus, min_count)
    counts = Counter(" ".join(corpus).split())
    assert set(vocab.words) == {*SPECIALS, *(w for w, n in counts.items() if n > min_count)}


def test_specials_are_the_first_four() -> None:
    vocab = Vocab.build(["a b a"], 0)
    assert vocab.words[:4] == ["START", "END", "UNK", "PAD"]
    assert (vocab.start, vocab.end, vocab.unk, vocab.pad) == (0, 1, 2, 3)
    assert len(vocab) == 6


def test_frequent_words_come_first_and_ties_in_order() -> None:
    assert Vocab.build(["c b a b a b"], 0).words[4:] == ["b", "a", "c"]


def test_unknown_words_become_unk_and_stay_visible() -> None:
    vocab = Vocab.build(["a b"], 0)
    assert vocab.encode("a zebra") == [vocab.id("a"), vocab.unk]
    assert "zebra" not in vocab
    assert vocab.decode(vocab.encode("a zebra")) == "a UNK"


def test_layout_words_are_silent() -> None:
    vocab = Vocab.build(["a b"], 0)
    ids = [vocab.start, vocab.id("a"), vocab.end, vocab.pad, vocab.pad]
    assert vocab.tokens(ids) == ["a"]


def test_a_special_name_in_the_corpus_is_no_second_entry() -> None:
    assert Vocab.build(["PAD PAD a"], 0).words == [*SPECIALS, "a"]


@given(corpus=st.lists(SENTENCES, min_size=1, max_size=4))
def test_a_saved_vocabulary_loads_equal(
    corpus: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("vocab") / "tokenizer.json"
    vocab = Vocab.build(corpus, 0)
    vocab.save(path)
    assert Vocab.load(path).words == vocab.words


def test_a_foreign_tokenizer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    Tokenizer(models.WordLevel({"[CLS]": 0, "[SEP]": 1, "a": 2}, unk_token="a")).save(str(path))
    with pytest.raises(MissingError, match=r"not a dlm vocabulary.*\[CLS\]"):
        Vocab.load(path)


@pytest.mark.parametrize("content", [None, "", "{", json.dumps({"model": 1}), "\x00\x01"])
def test_a_missing_or_broken_tokenizer_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(MissingError, match=r"cannot read the vocabulary .*tokenizer\.json"):
        Vocab.load(path)


def test_e2e_gives_the_papers_821_words(shared: Path) -> None:
    examples = read_corpus(f"e2e:{shared / 'data/e2e/train.csv.gz'}")
    assert len(Vocab.build((e.text for e in examples), min_count=10)) == 821


def test_the_embedded_model_has_the_papers_821_words() -> None:
    from dlm_core.bundle import ModelInfo

    assert len(ModelInfo.read("e2e").vocab) == 821
