"""What is copied, against brute force."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dlm_core.evaluation.overlap import copied, longest_runs

TEXTS = st.lists(st.lists(st.sampled_from("abc"), max_size=9).map(" ".join), max_size=4)


def brute(text: str, corpus: list[str]) -> int:
    words = text.split()
    runs = {tuple(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)}
    found = [run for run in runs if any(f" {' '.join(run)} " in f" {c} " for c in corpus)]
    return max(map(len, found), default=0)


@given(TEXTS, TEXTS)
def test_the_longest_run_is_that_of_brute_force(texts: list[str], corpus: list[str]) -> None:
    assert longest_runs(texts, corpus) == [brute(text, corpus) for text in texts]


def test_a_run_ends_with_its_text() -> None:
    assert longest_runs(["b c a"], ["a b c", "a b"]) == [2]
    assert longest_runs(["x y"], []) == [0]


def test_a_copy_is_a_whole_text_however_spaced() -> None:
    corpus = ["a b", "a  b c ", "x d"]
    assert copied(["a b", "a b c", "a", "d"], corpus) == [True, True, False, False]
    assert copied(["a"], []) == [False]
