"""Many gaps in one text: `infill:"The ... is ... ."`, against regular expressions and sums."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlm_controls import Infill, Keyword
from dlm_core.bundle import Model
from dlm_core.control.compose import as_controls
from dlm_core.control.lengths import Lengths
from dlm_core.control.parse import parse_spec
from dlm_core.control.protocol import BuildContext
from dlm_core.control.state import State
from dlm_core.errors import SpecError, UnsatisfiableError
from dlm_core.generation.generate import generate

KINDS = {"infill": Infill}
ITEMS = st.lists(
    st.sampled_from(["The", "pub", ".", "...", "*", "(a|the)"]), min_size=1, max_size=7
)


def expression(items: list[str]) -> re.Pattern[str]:
    """What a text of these items may be, words with a blank behind each."""
    known = {"...": r"(?:\S+ )+", "*": r"\S+ ", "(a|the)": "(?:a|the) "}
    return re.compile("".join(known.get(item, re.escape(item) + " ") for item in items))


def asked(items: list[str]) -> Infill | None:
    """None where it is refused: no gap, or nothing but gaps."""
    try:
        return Infill(" ".join(items))
    except SpecError:
        return None


@given(ITEMS)
def test_a_text_with_gaps_is_the_regular_expression(items: list[str]) -> None:
    spec, gaps = asked(items), {"...", "*"}
    assert (spec is None) == (gaps.isdisjoint(items) or gaps.issuperset(items))
    if spec is None:
        return
    assert parse_spec(str(spec), KINDS).spec == spec
    assert Infill.model_validate(spec.model_dump(mode="json")) == spec
    fits = expression(items).fullmatch
    for n in range(1, 5):
        for words in itertools.product(["The", "pub", "a", "."], repeat=n):
            text = " ".join(words)
            assert spec.verify(text).satisfied == bool(fits(text + " ")), (str(spec), text)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("The Mill is ... near Aromi .", Infill(left="The Mill is", right="near Aromi .")),
        ("The Mill … .", Infill(left="The Mill", right=".")),
        ("The * * .", Infill(left="The", right=".", words=2)),
        ("... .", Infill(right=".")),
        (r"Why \? ...", Infill(left="Why ?")),
    ],
)
def test_one_gap_is_what_stands_beside_it(text: str, spec: Infill) -> None:
    assert Infill(text) == parse_spec(f'infill:"{text}"', KINDS).spec == spec
    assert parse_spec(f"infill:{text}", KINDS).spec == spec


def test_gaps_hold_at_least_one_word_each(tiny_model: Model) -> None:
    info = tiny_model.info
    assert Infill("The ... is ... .").lengths(info) == Lengths(5, None)
    assert Infill("The * is * * .").lengths(info) == Lengths(6, 6)
    assert Infill("The ... is * .").lengths(info) == Lengths(5, None)
    assert Infill("The ... * .").lengths(info) == Lengths(4, None)


def test_its_log_prob_is_the_sum_over_all_places(
    tiny_model: Model, make_state: Callable[..., State]
) -> None:
    spec, vocab = Infill("The ... Mill ... ."), tiny_model.vocab
    words = ["The", "Mill", "is", "."]
    log_q = torch.full((1, 6, len(vocab)), -torch.inf, dtype=torch.float64)
    torch.manual_seed(0)
    log_q[..., [vocab.id(w) for w in words]] = torch.randn(1, 6, 4).double().log_softmax(-1)
    found = spec.build(BuildContext(tiny_model)).log_prob(make_state(log_q.clamp(min=-1e9)))
    total = sum(
        float(sum(log_q[0, i, vocab.id(w)] for i, w in enumerate(text)).exp())
        for text in itertools.product(words, repeat=6)
        if expression("The ... Mill ... .".split()).fullmatch(" ".join(text) + " ")  # noqa: SIM905
    )
    assert float(found.exp()) == pytest.approx(total)


@pytest.mark.parametrize("more", [None, Keyword(["food"])])
def test_every_text_has_its_words_and_something_between(
    tiny_model: Model, more: Keyword | None
) -> None:
    spec = Infill("The ... is * ... near ... .")
    results = generate(tiny_model, as_controls([spec, more] if more else spec), n=6)
    fits = expression(["The", "...", "is", "*", "...", "near", "...", "."]).fullmatch
    assert all(fits(" ".join(result.tokens) + " ") for result in results)
    assert all(result.satisfied for result in results)


@pytest.mark.parametrize(
    ("source", "message", "place", "hint"),
    [
        ("infill:text=The Mill", "no gap in it", "", "one word or more"),
        ('infill:"... * ..."', "empty", '"... * ..."', "left="),
        ('infill:"The ... (Mill ... ."', "not closed", "(", "plain sign"),
        ('infill:text="a ...",left=b', "'left' exclude", None, "leave one"),
        ('infill:{"text": "a ...", "lft": "b"}', "'lft': no such field", None, "'left'"),
        ("infill:The Mill", "expected field=value", "The Mill", "infill:left="),
    ],
)
def test_errors_show_the_place(source: str, message: str, place: str | None, hint: str) -> None:
    with pytest.raises(SpecError, match=message) as error:
        parse_spec(source, KINDS)
    assert error.value.hint is not None and hint in error.value.hint
    if place is not None:
        assert error.value.source is not None and error.value.span is not None
        start, end = error.value.span
        assert error.value.source[start:end] == place


def test_a_word_that_the_model_lacks_is_refused_in_its_place(tiny_model: Model) -> None:
    with pytest.raises(SpecError, match="does not know the word 'Millx'") as error:
        Infill("The ... Millx ... .").check(tiny_model.info)
    assert error.value.span == (8, 13) and "did you mean 'Mill'?" in str(error.value.hint)
    with pytest.raises(UnsatisfiableError, match="at least"):
        as_controls(Infill(" ... ".join(["The"] * 9))).check(tiny_model.info)
