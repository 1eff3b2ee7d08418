"""Texts of any corpus as a model sees them: tokens, case, end marks, windows; the same for all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_core.bundle import ModelInfo
from dlm_core.config import AS_THEY_ARE, TextConfig
from dlm_core.corpora import Example, learn, prepare, read_corpus
from dlm_core.corpora.prepare import split_sentences
from dlm_core.errors import UsageError
from dlm_core.natural import detokenise, tokenise

CASED = [
    'Tom met Ann in Boston. Ann didn\'t like it! "Stop!" he said.',
    "Yes, I saw Ann and Tom in Boston, and they saw the USA.",
    "They know Tom (and Ann) from the USA.",
]


def texts(given_texts: list[str], **settings: object) -> list[str]:
    examples = [Example(text) for text in given_texts]
    return [e.text for e in prepare(examples, TextConfig(**settings))]


def test_words_and_marks_are_cut_apart_and_tokens_stay() -> None:
    assert texts(["It's £20, she said."]) == ["It 's £ 20 , she said ."]
    assert texts(["The Mill is family - friendly ."]) == ["The Mill is family - friendly ."]
    assert texts(["It's £20."], tokenise=False) == ["It's £20."]


def test_a_treebanks_spelling_is_that_of_raw_text() -> None:
    raw = "She couldn't wait. We can't, they won't, I don't."
    treebank = "She could n't wait . We ca n't , they wo n't , I do n't ."
    assert texts([treebank]) == texts([raw])
    assert detokenise(texts([treebank])[0]) == raw
    assert texts(["`` No , '' he said ."]) == texts(['"No," he said.'])


@given(st.text(st.characters(categories=["L", "Nd", "P", "Zs"]), max_size=60))
def test_prepared_texts_are_not_changed_by_preparing_them_again(text: str) -> None:
    once = texts([text])
    assert texts(once) == once


@given(st.text(st.characters(categories=["L", "P", "Zs"]), max_size=60))
def test_nothing_but_blanks_is_added_or_lost(text: str) -> None:
    (whole,) = texts([text])
    signs = str.maketrans("", "", " \"'`\u00a0")
    assert "".join(whole.split()).translate(signs) == "".join(text.split()).translate(signs)


def test_true_case_is_learnt_inside_sentences_of_cased_texts() -> None:
    small = "ann saw the usa . i didn't , says tom ."
    settings, told = learn([Example(t) for t in [*CASED, small]], TextConfig(case="true"))
    assert settings.capitals == ("Ann", "Boston", "I", "Tom", "USA")
    assert told == (
        "case: 1 of 4 texts are in small letters; 5 words with capitals are learnt from the others"
    )
    (cased,) = (e.text for e in prepare([Example(small)], settings))
    assert cased == "Ann saw the USA . I didn 't , says Tom ."
    assert texts(CASED, case="true") == texts(CASED)


def test_what_begins_a_sentence_or_is_as_often_small_teaches_no_capitals() -> None:
    rows = ["Bread is fine. Bread is fine. Bread is fine.", "The May is fine. She may May. I may."]
    settings, _ = learn([Example(t) for t in rows], TextConfig(case="true"))
    assert settings.capitals == ("I",)


def test_a_word_i_of_another_language_stays_small() -> None:
    rows = ["Il pane e i vini. Anna i vini?", "Vedo i monti e Anna i mari con Anna."]
    settings, _ = learn([Example(t) for t in rows], TextConfig(case="true"))
    assert settings.capitals == ("Anna",)


def test_a_word_of_names_that_is_common_in_small_letters_keeps_them() -> None:
    cased = ["He left New York .", "She likes New York .", *["It rained again on us ."] * 8]
    small = ["a new house of york", *["a new car and a new road"] * 6]
    settings, _ = learn([Example(text) for text in cased + small], TextConfig(case="true"))
    assert settings.capitals == ("I", "York")


def test_a_corpus_without_capitals_says_so() -> None:
    rows = [Example("i know ann . she left")]
    settings, told = learn(rows, TextConfig(case="true"))
    assert told is not None and "no text of the corpus has capitals" in told
    assert [e.text for e in prepare(rows, settings)] == ["I know ann . She left"]


def test_heads_use_the_capitals_of_the_model_whatever_their_own_corpus_has() -> None:
    settings, _ = learn([Example(t) for t in CASED], TextConfig(case="true"))
    kept = TextConfig.read(settings.model_dump(mode="json"), "config.json")
    assert learn([Example("other texts")], kept) == (kept, None)
    assert [e.text for e in prepare([Example("so tom left")], kept)] == ["So Tom left"]


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("a stirring film", "a stirring film ."),
        ("Is it?", "Is it ?"),
        ('He said "no."', 'He said " no . "'),
        ("(It is so!)", "( It is so ! )"),
        ("one of them,", "one of them ."),
        ("and then...", "and then ..."),
        ("", ""),
    ],
)
def test_the_missing_end_mark_is_added(text: str, complete: str) -> None:
    assert texts([text], full_stop=True) == [complete]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Mr. Hill left. Ann stayed.", ["Mr. Hill left .", "Ann stayed ."]),
        ('"Stop!" he said. He left.', ['" Stop ! " he said .', "He left ."]),
        ('He said "no." "Why?" she asked.', ['He said " no . "', '" Why ? " she asked .']),
        ("Well... he left. So?! Yes", ["Well ... he left .", "So ? !", "Yes"]),
        ("all small . no case ... at all . fine", ["all small .", "no case ... at all .", "fine"]),
        ("It is 5.5 miles (or so.) Fine.", ["It is 5.5 miles ( or so . )", "Fine ."]),
        ("", []),
    ],
)
def test_sentences_are_found_by_their_marks(text: str, parts: list[str]) -> None:
    assert [" ".join(words) for words in split_sentences(tokenise(text))] == parts


@given(
    number=st.integers(1, 12),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 4)).map(lambda s: (min(s), max(s))),
)
def test_windows_are_parts_that_follow_each_other(number: int, sizes: tuple[int, int]) -> None:
    parts = [f"Sentence {k} ." for k in range(number)]
    windows = prepare([Example(" ".join(parts), {"a": "b"})], TextConfig(sentences=sizes))
    assert [part for window in windows for part in window.sentences] == parts
    assert all(window.text == " ".join(window.sentences) for window in windows)
    assert all(window.fields == {"a": "b"} for window in windows)
    counts = [len(window.sentences) for window in windows]
    assert max(counts) <= sizes[1]
    assert sum(count < sizes[0] for count in counts) <= 1  # where no sum of sizes is the number


def test_every_size_occurs_and_a_text_is_always_cut_alike() -> None:
    stories = [Example(" ".join(f"S {k} {j} ." for j in range(5))) for k in range(200)]
    settings = TextConfig(sentences=(1, 3))
    windows = prepare(stories, settings)
    assert {len(window.sentences) for window in windows} == {1, 2, 3}
    alone = [window for story in stories for window in prepare([story], settings)]
    assert alone == windows


def test_sentences_that_a_reader_knows_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "stories.jsonl"
    path.write_text('{"sentences": ["It was 5 p.m. Tea", "So he ate", "Fine."]}\n')
    (story,) = read_corpus(f"roc:{path}")
    assert story.sentences == ("It was 5 p.m. Tea", "So he ate", "Fine.")
    (whole,) = prepare([story], TextConfig(full_stop=True))
    assert whole.sentences == ("It was 5 p.m . Tea .", "So he ate .", "Fine .")


@pytest.mark.parametrize("sizes", [(0, 2), (3, 1)])
def test_windows_of_no_size_are_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="expected 1 <= first <= second"):
        TextConfig(sentences=sizes)


def test_nothing_changes_for_the_embedded_model(shared: Path) -> None:
    """Its bundle says nothing of texts, since its corpus was tokenised when it was read."""
    text = ModelInfo.read("e2e").text
    assert text == AS_THEY_ARE
    examples = read_corpus(f"e2e:{shared / 'data/e2e/valid.csv.gz'}")
    assert prepare(examples, text) == examples


def test_both_halves_of_roc_come_out_alike(shared: Path) -> None:
    """23,218 stories are cased and raw, the others in small letters and tokenised."""
    examples = read_corpus(f"roc:{shared / 'data/roc/train.jsonl.gz'}")[::20]
    settings, told = learn(examples, TextConfig(case="true", full_stop=True, sentences=(1, 3)))
    windows = prepare(examples, settings)
    assert told is not None and "texts are in small letters" in told
    assert {"I", "Christmas", "Monday"} <= set(settings.capitals or ())
    assert all(window.text[-1] in ".!?…\"')" for window in windows)
    assert sum("n't" in window.text.split() for window in windows) == 0
    assert sum(window.text == window.text.lower() for window in windows) < 0.001 * len(windows)
