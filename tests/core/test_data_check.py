"""What is told of a corpus before training, what is held out, and what is refused."""

from __future__ import annotations

import random

import pytest

from dlm_core.corpora import Example
from dlm_core.corpora.fields import look_at_fields
from dlm_core.data_check import check_data, hold_out
from dlm_core.errors import UsageError
from dlm_core.vocab import Vocab

WORDS = ["the", "pub", "is", "cheap", "and", "near", "a", "river"]


def corpus(n: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(3, 9))) for _ in range(n)]


@pytest.mark.parametrize(
    ("texts", "held", "how"),
    [
        (2, 1, "1 of 2 texts, drawn at random, for validation"),
        (19, 1, "1 of 19 texts, drawn at random, for validation"),
        (500, 50, "50 of 500 texts, drawn at random, for validation"),
        (2_999, 299, "299 of 2,999 texts, drawn at random, for validation"),
        (42_061, 1_000, "1,000 of 42,061 texts, drawn at random, for validation"),
    ],
)
def test_a_share_is_held_out_and_said(texts, held, how):
    train, valid, told = hold_out(range(texts))
    assert (len(valid), told) == (held, how)
    assert sorted(train + valid) == list(range(texts))
    assert train
    assert hold_out(range(texts)) == (train, valid, told)


def test_texts_in_a_regular_order_are_all_left_to_train_on():
    train, valid, _ = hold_out([i % 10 for i in range(1000)])
    assert set(train) == set(valid) == set(range(10))


@pytest.mark.parametrize("texts", [[], ["one"]])
def test_one_text_is_never_held_out_whole(texts):
    with pytest.raises(UsageError, match="none can be held out") as caught:
        hold_out(texts)
    assert "--valid" in caught.value.hint


def test_the_report_counts_what_is_there():
    texts = ["a b c a .", "a b c a .", "a zebra .", "a " * 70 + "."] + ["b c ."] * 3 + [""]
    report = check_data(texts, min_count=0, max_len=64)
    assert (report.texts, report.words, report.longest) == (8, 10 + 3 + 71 + 9, 71)
    assert (report.too_long, report.empty, report.copies) == (1, 1, 3)
    assert (report.vocabulary, report.unk, report.lost) == (5, 0, ())
    assert report.mean_words == pytest.approx(93 / 8)
    lossy = check_data([*texts, "b c zebra", "d d d", "d e e e f f f"], min_count=1)
    assert (lossy.unk, lossy.lost) == (0, ())
    lossy = check_data([*texts, "e e f f", "d d"], min_count=1)
    assert (lossy.unk, lossy.lost) == (1, (("zebra", 1),))
    assert lossy.unk_share == pytest.approx(1 / 99)
    assert lossy.as_dict()["unk_share"] == pytest.approx(1 / 99, abs=1e-6)


def test_the_lines_say_what_is_lost():
    texts = ["a b c d e .", "a b c d e zebra"] + ["a b c d e ."] * 298 + ["a " * 100] * 10
    report = check_data(
        texts, min_count=2, held_out="5 of 315 texts, drawn at random, for validation"
    )
    lines = report.lines()
    assert lines[0].startswith("data: 310 texts of ")
    assert "duplicates: 307 texts repeat an earlier one" in lines
    assert "held out: 5 of 315 texts, drawn at random, for validation" in lines
    assert (
        "vocabulary: 6 words of more than 2 uses; 0.0% of the running words are UNK; "
        "most often lost: zebra (1)"
    ) in lines
    assert "too long: 10 of 310 texts have more than 64 words and are left out (max_len)" in lines
    assert [line for line in lines if line.startswith("  | ")] == ["  | a b c d e ."] * 3
    assert any(line.startswith("advice: a larger max_len") for line in lines)


def test_texts_that_are_cut_are_said_and_shown_cut():
    report = check_data(["a b c d e f g h"] * 3, min_count=0, max_len=5, cuts=True)
    assert (
        "too long: 3 of 3 texts have more than 5 words and are cut there (max_len)"
        in report.lines()
    )
    assert set(report.seen) == {"a b c d e"}


def test_texts_are_shown_as_the_model_sees_them():
    texts = ["the pub is cheap and near"] * 5 + ["the pub is a zebra"]
    assert check_data(texts, min_count=1).seen[-1] == "the pub is UNK UNK"


def test_what_is_not_tokenised_gets_advice():
    report = check_data(["The cheese. is No7 good, nice."] * 40, min_count=2)
    (advice,) = report.advice
    assert advice.startswith("50% of the words end in punctuation, as 'cheese.'")
    assert "write 'cheese .'" in advice
    assert check_data(["The cheese is good , very nice ."] * 40, min_count=2).advice == ()


def test_many_unknown_words_get_advice_with_what_min_count_would_give():
    texts = corpus(100) + [f"the pub rare{i} rare{i}" for i in range(40)]
    report = check_data(texts, min_count=5)
    assert report.unk == 80
    spell, advice = report.advice
    assert spell.endswith("if pieces spelled them: pieces = 4000")
    assert advice.startswith("fewer words would be UNK with a smaller min_count: 2 keeps 8 words")
    assert advice.endswith(", 1 keeps 48 words (0% UNK), 0 keeps 48 words (0% UNK)")


def test_words_spelt_like_marks_are_told():
    report = check_data(["the mouse PAD on a UNK PAD"] * 20)
    assert report.reserved == (("UNK", 20), ("PAD", 40))
    assert (
        "spelt like a mark of the vocabulary, taken as words: UNK (20), PAD (40)" in report.lines()
    )


def test_with_a_models_vocabulary_the_unknown_are_told():
    vocab = Vocab.build(corpus(50), 0)
    report = check_data(["the pub is nice and cheap", "the river is near"], vocab=vocab)
    assert (report.min_count, report.vocabulary, report.unk) == (None, 8, 1)
    assert report.lost == (("nice", 1),)
    assert "a head learns little from words that the model does not know" in report.advice
    with pytest.raises(UsageError, match=r"does not know 3 of 4 running words \(75%\)"):
        check_data(["The cheese. is nice."], vocab=vocab)


@pytest.mark.parametrize(
    ("texts", "min_count", "message", "hint"),
    [
        (
            [f"word{i} thing{i} end{i}" for i in range(100)],
            10,
            r"min_count = 10 keeps 0 words of 300 and loses 300 of 300 running words \(100%\)",
            "set min_count: 0 keeps 300 words (0% UNK); or add texts",
        ),
        (["a b a b"] * 100, 2, "keeps 2 words of 2 and loses 0 of 400", "they have only 2 words"),
        (
            ["the pub . a is"] * 20 + [" ".join(f"w{i}x{k}" for k in range(9)) for i in range(20)],
            10,
            "keeps 5 words",
            "0 keeps 185 words (0% UNK)",
        ),
        (["今天天气很好我们去公园玩吧"] * 100, 0, "not split into words", "blank between words"),
        (["ฉันชอบไปทะเลในวันหยุด"] * 100, 0, "not split into words", "tokeniser"),
        (["Donaudampfschifffahrtsgesellschaft"] * 100, 0, "not split", "tokeniser"),
        (["x " * 70] * 100, 0, "the shortest has 70 words, and the model holds 64", "max_len"),
        (["", " "], 0, "no text with a word", None),
    ],
)
def test_what_cannot_be_learnt_from_is_refused_with_counts(texts, min_count, message, hint):
    with pytest.raises(UsageError, match=message) as caught:
        check_data(texts, min_count=min_count, source="text:mine.txt")
    assert caught.value.message.startswith("text:mine.txt: ")
    assert hint is None or hint in caught.value.hint


def test_split_texts_of_such_languages_pass():
    assert check_data(["今天 天气 很 好 ， 我们 去 公园 玩 吧 。"] * 20).unk == 0


def test_pieces_spell_what_would_be_lost() -> None:
    rare = [f"the pub is near stat{a}{b} and cheap" for a in "abcdefgh" for b in "klmnopqr"]
    with_words = check_data(corpus(100) + rare, min_count=5)
    assert with_words.unk == len(rare)
    spelled = check_data(corpus(100) + rare, min_count=5, pieces=200)
    assert (spelled.unk, spelled.spelled) == (0, len(rare))
    vocab = Vocab.build(corpus(100) + rare, 5, None, 200)
    assert spelled.pieces == len(vocab.piece_ids)
    assert spelled.longest == max(len(vocab.encode(text)) for text in corpus(100) + rare)
    assert any(f"and {spelled.pieces} pieces, which spell" in line for line in spelled.lines())
    assert check_data(rare, vocab=vocab).unk == 0


def test_text_without_blanks_is_told_what_to_do_and_taken_with_pieces() -> None:
    texts = ["今天天气很好我们去公园玩吧", "我们今天去公园玩", "天气很好我们去公园玩"] * 40
    with pytest.raises(UsageError, match="not split into words") as caught:
        check_data(texts)
    assert "pieces = 4000" in caught.value.hint
    report = check_data(texts, pieces=100, min_count=1000)
    assert (report.unk, report.too_long) == (0, 0)
    assert any("100% of the letters are Cjk" in line for line in report.advice)


def test_sentences_of_a_script_without_blanks_are_no_words_and_no_pieces() -> None:
    rng = random.Random(0)
    texts = [
        "".join(rng.choices("今天气很好我们去公园玩他喜欢吃", k=12)) + "。" for _ in range(200)
    ]
    spelled = check_data(texts, min_count=2, pieces=4_000)
    assert spelled.positions > 4 * len(texts)
    assert not any("punctuation" in line or "kept whole" in line for line in spelled.advice)
    kept = check_data(texts, min_count=0, pieces=4_000)
    assert any("a larger min_count than 0 has pieces spell it" in line for line in kept.advice)


def test_another_script_is_told() -> None:
    (advice,) = check_data(["в городе есть дешёвый паб ."] * 30, min_count=2).advice
    assert advice.startswith("100% of the letters are Cyrillic")
    assert advice.endswith("pieces = 4000")


def test_equal_texts_with_several_values_are_told() -> None:
    rows = [Example(f"a text {k % 6} .", {"label": "ab"[k // 6 % 2], "n": "ab"[k % 2]})
            for k in range(120)]  # fmt: skip
    label, n = look_at_fields(rows)
    assert (label.contradicted, n.contradicted) == (120, 0)
    assert list(label.advice) == [
        "field 'label' contradicts itself: 120 of 120 texts stand in the corpus with another "
        "value, too"
    ]
    assert list(n.advice) == []


def test_what_fields_could_teach_is_told() -> None:
    foods = ("Thai", "French", "Indian")
    examples = [
        Example(
            f"Place{k} serves {foods[k % 3]} food .",
            {"food": foods[k % 3], "name": f"place{k}", "id": f"#{k}", "city": "Rome"}
            | ({"near": 'a, "b" = c'} if k % 4 == 0 else {}),
        )
        for k in range(60)
    ]
    reports = {report.name: report for report in look_at_fields(examples)}
    assert {name: report.kind for name, report in reports.items()} == {
        "food": "few values",
        "name": "open",
        "id": "unsaid",
        "city": "one value",
        "near": "one value",
    }
    assert (reports["food"].said, reports["id"].said, reports["near"].texts) == (1.0, 0.0, 15)
    report = check_data([e.text for e in examples], min_count=0, fields=look_at_fields(examples))
    assert "field food: 3 values in 100% of the texts; Thai (20), French (20), Indian (20)" in (
        report.lines()
    )
    assert [line.partition(":")[0] for line in report.advice] == [
        "field 'name' is open",
        "field 'id' has a value a row, which the texts do not say",
        "field 'city' has one value",
        "field 'near' has one value",
        "field 'near' is missing in 75% of the texts, which teach nothing of it",
    ]
    assert report.as_dict()["fields"][0]["name"] == "food"
