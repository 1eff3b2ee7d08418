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
from dlm_core.errors import MissingError, UsageError
from dlm_core.text import normal
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
        assert vocab.decode(vocab.encode(text)) == normal(text)
    assert vocab.encode_batch(corpus) == [vocab.encode(text) for text in corpus]


@given(corpus=st.lists(SENTENCES, max_size=6), min_count=st.integers(0, 3))
def test_words_seen_more_than_min_count_are_kept(corpus: list[str], min_count: int) -> None:
    vocab = Vocab.build(corpus, min_count)
    counts = Counter(normal(" ".join(corpus)).split())
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


def test_words_spelt_like_marks_are_words(tmp_path: Path) -> None:
    vocab = Vocab.build(["a mouse PAD", "START the UNK PAD"], 0)
    vocab.save(tmp_path / "tokenizer.json")
    for each in (vocab, Vocab.load(tmp_path / "tokenizer.json")):
        text = "START the mouse PAD UNK"
        ids = each.encode(text)
        assert each.encode_batch([text]) == [ids]
        assert min(ids) >= 4
        assert each.decode(ids) == text
        assert each.tokens([each.start, *each.encode("PAD"), each.end, each.pad]) == ["PAD"]
        assert each.id("END") == each.unk  # no text had it
        assert each.plain_words.count("PAD") == 1
        assert "UNK" in each and "END" not in each


def test_a_vocabulary_of_before_keeps_its_ids_and_has_no_word_like_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    entries = {w: i for i, w in enumerate(["START", "END", "UNK", "PAD", "a", "Cafe\u0301"])}
    Tokenizer(models.WordLevel(entries, unk_token="UNK")).save(str(path))
    vocab = Vocab.load(path)
    assert vocab.words == [*SPECIALS, "a", "Cafe\u0301"]
    assert vocab.encode("a PAD START UNK zebra") == [4, 2, 2, 2, 2]
    assert vocab.encode_batch(["a PAD"]) == [[4, 2]]
    assert vocab.encode("Caf\u00e9 Cafe\u0301") == [5, 5]  # it was built of texts in NFD
    assert not {"PAD", "UNK"} & {w for w in ("PAD", "UNK") if w in vocab}


def test_without_such_words_the_file_is_as_it_always_was(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    Vocab.build(["a b"], 0).save(path)
    model = json.loads(path.read_text())["model"]
    assert model["vocab"] == {"START": 0, "END": 1, "UNK": 2, "PAD": 3, "a": 4, "b": 5}
    assert model["unk_token"] == "UNK"


def test_an_accent_is_one_character_however_it_is_typed() -> None:
    vocab = Vocab.build(["Caf\u00e9 Caf\u00e9", "Cafe\u0301 pub"], 0)
    assert vocab.plain_words == ["Caf\u00e9", "pub"]
    assert vocab.encode("Cafe\u0301") == vocab.encode("Caf\u00e9") == [4]
    assert vocab.id("Cafe\u0301") == 4 and "Cafe\u0301" in vocab


def test_unknown_words_are_told_and_refused_on_request() -> None:
    vocab = Vocab.build(["the cheese is nice"], 0)
    text = "The cheese. is nice the cheese."
    assert vocab.unknown(text) == ["The", "cheese."]
    assert vocab.unknown("the cheese") == []
    assert vocab.encode(text)[1] == vocab.unk
    assert vocab.encode("the cheese", strict=True) == vocab.encode("the cheese")
    with pytest.raises(UsageError, match="no word 'The' and 1 more") as caught:
        vocab.encode(text, strict=True)
    assert caught.value.hint == "did you mean 'the'?"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"a": 5}, "gaps"),
        ({"a": 4, "b": 4}, "gaps"),
        ({"a b": 4}, "'a b' is not one word"),
        ({"": 4}, "'' is not one word"),
    ],
)
def test_a_vocabulary_that_cannot_be_is_refused(
    tmp_path: Path, words: dict[str, int], message: str
) -> None:
    path = tmp_path / "tokenizer.json"
    Vocab.build(["a"], 0).save(path)
    data = json.loads(path.read_text())
    data["model"]["vocab"] = {**{mark: i for i, mark in enumerate(SPECIALS)}, **words}
    path.write_text(json.dumps(data))
    with pytest.raises(MissingError, match=rf"tokenizer\.json: not a dlm vocabulary: .*{message}"):
        Vocab.load(path)


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
