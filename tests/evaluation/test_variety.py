"""The text metrics against values worked out by hand and against plain sacrebleu."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from sacrebleu.metrics.bleu import BLEU

from dlm_core.evaluation.markdown import table
from dlm_core.evaluation.variety import (
    distinct_n,
    distinct_share,
    self_bleu,
    self_bleu_scores,
)


def random_texts(number: int, seed: int = 0) -> list[str]:
    """Texts of 0 to 12 words of a tiny vocabulary: many repeats, ties and clipped counts."""
    rng = random.Random(seed)
    return [" ".join(rng.choices("abcdefgh", k=rng.randint(0, 12))) for _ in range(number)]


def test_distinct_share_ignores_spacing() -> None:
    assert distinct_share(["a b", "a  b ", "b a", "c"]) == 3 / 4


def test_distinct_n_by_hand() -> None:
    texts = ["a b a b", "b a"]
    assert distinct_n(texts, 1) == 2 / 6
    assert distinct_n(texts, 2) == 2 / 4  # ab ba ab | ba
    assert distinct_n(texts, 3) == 2 / 2
    assert distinct_n(["a b", "c d"], 2) == 1  # no "b c" between the texts


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: distinct_share([]), "no texts"),
        (lambda: distinct_n(["a"], 2), "no text has 2 words"),
        (lambda: distinct_n(["a"], 0), "n is 0"),
        (lambda: self_bleu(["a"]), "at least 2"),
    ],
)
def test_nothing_to_measure_is_an_error(call: Callable[[], float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_self_bleu_by_hand() -> None:
    assert self_bleu(["a b c d e"] * 3) == pytest.approx(100)
    assert self_bleu(["a b c d", "e f g h"]) == 0
    # Each has 3 of 4 words and 2 of 3 pairs in the other, equal lengths: sqrt(3/4 * 2/3).
    assert self_bleu(["a b c d", "a b c e"], order=2) == pytest.approx(100 * 0.5**0.5)


def test_self_bleu_clips_at_the_highest_other_count() -> None:
    # 2 of the 3 words of "a a a" are in "a a"; "a a" is wholly in it but shorter: exp(1 - 3/2).
    scores = self_bleu_scores(["a a a", "a a"], order=1)
    assert scores == pytest.approx([100 * 2 / 3, 100 * 2.718281828**-0.5])


@pytest.mark.parametrize("order", [1, 2, 4, 5])
@pytest.mark.parametrize("number", [2, 3, 30])
def test_self_bleu_equals_plain_sacrebleu(number: int, order: int) -> None:
    texts = random_texts(number, seed=number)
    bleu = BLEU(effective_order=True, tokenize="none", max_ngram_order=order)
    plain = [
        bleu.sentence_score(text, texts[:i] + texts[i + 1 :]).score for i, text in enumerate(texts)
    ]
    assert self_bleu_scores(texts, order) == pytest.approx(plain, abs=1e-12)
    assert self_bleu(texts, order) == pytest.approx(sum(plain) / number, abs=1e-12)


def test_table() -> None:
    rows: list[dict[str, object]] = [
        {"model": "a|b", "nll": 1.23456, "n": 500},
        {"model": "longer", "nll": None, "x": 12345.6},
    ]
    assert table(rows).splitlines() == [
        r"| model  |   nll |   n |     x |",
        r"| ------ | ----: | --: | ----: |",
        r"| a\|b   | 1.235 | 500 |     - |",
        r"| longer |     - |   - | 12346 |",
    ]
    assert table([]) == ""
