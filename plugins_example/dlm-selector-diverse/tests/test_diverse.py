"""The diverse selector: the kit, a published formula by brute force, and what follows from it."""

from __future__ import annotations

import pytest
from dlm_selector_diverse import Diverse, held, similarity, word_pairs
from hypothesis import given
from hypothesis import strategies as st

import dlm_core as dlm
from dlm_core.testing import assert_selector


def result(text: str, seed: int, score: float = 1.0) -> dlm.Result:
    report = dlm.ControlReport(
        spec="x", weight=1.0, log_prob=0.0, satisfied=score == 1.0, score=score
    )
    return dlm.Result(text=text, tokens=text.split(), seed=seed, controls=[report])


@pytest.mark.parametrize("spec", [Diverse(), Diverse(0.0), Diverse(0.2), Diverse(1.0)])
def test_conformance(spec: Diverse) -> None:
    assert_selector(spec)


TEXTS = st.lists(
    st.tuples(
        st.lists(st.sampled_from("abc"), min_size=1, max_size=4), st.sampled_from([0.0, 0.5, 1.0])
    ),
    min_size=1,
    max_size=6,
)


@given(TEXTS, st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_each_text_taken_maximises_marginal_relevance(
    rows: list[tuple[list[str], float]], relevance: float
) -> None:
    candidates = [result(" ".join(words), i, score) for i, (words, score) in enumerate(rows)]
    ranked = dlm.select(Diverse(relevance), candidates, keep=len(candidates))
    for k, taken in enumerate(ranked):

        def value(text: dlm.Result, before: list[dlm.Result] = ranked[:k]) -> float:
            mine = word_pairs(text.tokenised)
            like = max((similarity(mine, word_pairs(b.tokenised)) for b in before), default=0.0)
            return relevance * held(text) - (1 - relevance) * like

        assert taken.score == pytest.approx(value(taken))
        assert value(taken) == pytest.approx(max(map(value, ranked[k:])))


def test_a_text_drawn_twice_is_kept_once() -> None:
    texts = ["a b c", "a b c", "a b d", "e f g"]
    kept = dlm.select(Diverse(), [result(t, i) for i, t in enumerate(texts)], keep=3)
    assert [r.text for r in kept] == ["a b c", "e f g", "a b d"]
    assert [r.rank for r in kept] == [1, 2, 3]


def test_relevance_is_a_share() -> None:
    with pytest.raises(dlm.SpecError, match="less than or equal to 1"):
        dlm.parse_selector("diverse:2", {"diverse": Diverse})
