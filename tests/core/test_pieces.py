"""Words that a vocabulary spells in pieces."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from dlm_core.corpora import Example
from dlm_core.errors import UsageError
from dlm_core.training.heads import of_whole_words
from dlm_core.vocab import Vocab

TEXTS = ["the cat sat on the mat", "the giraffe ate giraffes , the cats cat", "a ## mark"] * 3
WORDS = st.text(alphabet="acefgirst#é", min_size=1, max_size=12)


@pytest.fixture(scope="module")
def vocab() -> Vocab:
    return Vocab.build(TEXTS, min_count=3, pieces=60)


def test_frequent_words_stay_whole_and_rare_ones_are_spelled(vocab: Vocab) -> None:
    assert vocab.plain_words == ["the", "cat"]
    assert vocab.tokens(vocab.encode("the gifts sat")) == ["the", "gifts", "sat"]
    assert len(vocab.spell("gifts")) > 1
    assert "giraffes" not in vocab
    assert vocab.id("giraffes") == vocab.unk


def test_pieces_lie_behind_the_words_and_only_some_go_on(vocab: Vocab) -> None:
    ids = vocab.piece_ids
    assert [*range(ids.start), *ids] == list(range(len(vocab)))
    going_on = [id_ for id_ in range(len(vocab)) if vocab.goes_on(id_)]
    assert going_on == list(range(ids.start, ids.start + len(going_on)))
    assert all(vocab.words[id_].startswith("##") for id_ in going_on)


@settings(max_examples=200, deadline=None)
@given(st.lists(WORDS, max_size=6))
def test_text_comes_back(words: list[str]) -> None:
    """Every text of the corpus' characters, unless a word looks like a piece."""
    vocab = Vocab.build([*TEXTS, "aceéfgirst# a#c#e#f#g#i#r#s#t#é#"], min_count=3, pieces=80)
    ids = vocab.encode(" ".join(words))
    spelled = [w for w in words if vocab.unk not in vocab.spell(w)]
    assert [w for w in vocab.tokens(ids) if w != "UNK"] == spelled
    assert all("##" in word or word not in "#" for word in set(words) - set(spelled))


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="acefgirst#", min_size=1, max_size=7))
def test_all_ways_to_spell_a_word(word: str) -> None:
    """Against all entries tried at every place, from left to right."""
    vocab = Vocab.build([*TEXTS, "a#c#e#f#g#i#r#s#t#"], min_count=3, pieces=60)
    ids = range(vocab.pad + 1, len(vocab))

    def onwards(at: int) -> list[list[tuple[int, int, int]]]:
        if at == len(word):
            return [[]]
        begun = ((i, vocab.words[i].removeprefix("##" * vocab.goes_on(i))) for i in ids)
        steps = [
            (at, i, at + len(text))
            for i, text in begun
            if text and word.startswith(text, at) and vocab.goes_on(i) == (at > 0)
        ]
        return [[step, *rest] for step in steps for rest in onwards(step[2])]

    assert set(vocab.ways(word)) == {step for way in onwards(0) for step in way}


def test_a_vocabulary_of_whole_words_alone(vocab: Vocab) -> None:
    whole = vocab.whole
    assert (whole.words, whole.plain_words) == (vocab.words, vocab.plain_words)
    assert whole.unknown("the giraffes sat") == ["giraffes", "sat"]
    assert whole.encode("the giraffes cat") == [vocab.id("the"), vocab.unk, vocab.id("cat")]
    assert whole.ways("giraffes") == []
    assert vocab.pieces and vocab.writes("giraffes")


def test_texts_that_need_no_pieces(vocab: Vocab) -> None:
    texts = [Example(text) for text in ("the cat", "the giraffe", "cat the cat", "a cat")]
    assert of_whole_words(texts, vocab) == [texts[0], texts[2]]
    assert of_whole_words(texts, Vocab.build(TEXTS, 0)) == texts


def test_transformers_reads_the_same_file(vocab: Vocab, tmp_path: Path) -> None:
    vocab.save(tmp_path / "tokenizer.json")
    other = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    text = "the giraffes ate cats on mats"
    assert other(text)["input_ids"] == vocab.encode(text)
    assert Vocab.load(tmp_path / "tokenizer.json").words == vocab.words


def test_the_same_corpus_gives_the_same_pieces(vocab: Vocab) -> None:
    assert all(Vocab.build(TEXTS[::-1], 3, pieces=60).words == vocab.words for _ in range(5))


def test_only_the_most_frequent_words_are_kept() -> None:
    assert Vocab.build(TEXTS, min_count=0, max_words=2).plain_words == ["the", "cat"]


def test_too_few_pieces_for_the_characters() -> None:
    with pytest.raises(UsageError, match="characters"):
        Vocab.build(TEXTS, min_count=3, pieces=5)
