"""select(): order, ranks, ties, and what a selector may not do."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_core.errors import MissingError, PluginError, SpecError, UsageError
from dlm_core.results import Result
from dlm_core.selection import SelectorSpec, check_selector, parse_selector, select


class Given(SelectorSpec):
    """Scores as they are given."""

    kind = "given"
    values: tuple[float, ...] = ()

    def scores(self, candidates: Any) -> list[float]:
        return list(self.values)


class Raises(SelectorSpec):
    """Fails."""

    kind = "raises"

    def check(self) -> None:
        raise MissingError("no luck", "pip install luck")

    def scores(self, candidates: Any) -> list[float]:
        raise ZeroDivisionError("oh")


def results(n: int) -> list[Result]:
    return [Result(text=f"text {i}", tokens=[], seed=i) for i in range(n)]


@given(values=st.lists(st.integers(-3, 3), min_size=1, max_size=9), data=st.data())
def test_the_best_are_kept_best_first_and_ties_go_to_the_lower_seed(values, data):
    keep = data.draw(st.integers(1, len(values)))
    order = data.draw(st.permutations(range(len(values))))
    shuffled = [results(len(values))[i] for i in order]
    chosen = select(Given(values=tuple(values[i] for i in order)), shuffled, keep)
    expected = sorted((-value, seed) for seed, value in enumerate(values))[:keep]
    assert [(-r.score, r.seed) for r in chosen] == expected
    assert [r.rank for r in chosen] == list(range(1, keep + 1))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((1.0,), "returned 1 scores for 2 candidates"),
        ((), "returned 0 scores"),
        ((1.0, math.nan), "the score nan for 'text 1'"),
        ((-math.inf, 1.0), "the score -inf for 'text 0'"),
    ],
)
def test_wrong_scores_are_the_plugins_fault(values, message):
    with pytest.raises(PluginError) as caught:
        select(Given(values=values), results(2), owner="dlm-selector-given 0.3")
    assert message in caught.value.message
    assert "selector 'given' from dlm-selector-given 0.3" in caught.value.message


def test_an_exception_is_named_and_dlms_own_errors_pass():
    with pytest.raises(PluginError, match=r"'raises' from x 1 failed at scores: ZeroDivisionError"):
        select(Raises(), results(2), owner="x 1")
    with pytest.raises(MissingError, match="no luck"):
        check_selector(Raises())
    with pytest.raises(UsageError, match="keep=0"):
        select(Given(values=(1.0,)), results(1), 0)


def test_a_selector_is_parsed_as_a_control_is_but_has_no_weight():
    kinds = {"given": Given, "raises": Raises}
    assert parse_selector("raises", kinds) == Raises()
    assert parse_selector('given:{"values": [1, 2]}', kinds) == Given(values=(1.0, 2.0))
    assert parse_selector(str(Given(values=(0.5,))), kinds) == Given(values=(0.5,))
    for source, message, hint in (
        ("givn", "unknown selector 'givn'", "'given'"),
        ("given@2", "unknown selector 'given@2'", "'given'"),
        ('given:{"valus": 1}', "selector 'given', field 'valus': no such field", "'values'"),
        ("raises:x", "selector 'raises': takes no options", None),
    ):
        with pytest.raises(SpecError) as caught:
            parse_selector(source, kinds)
        assert message in caught.value.message and f"\n  {source}\n" in caught.value.message
        assert hint is None or hint in (caught.value.hint or "")
