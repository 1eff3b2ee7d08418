"""length and infill: what they fix, what they say of a text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from dlm_controls import Infill, Keyword, Length
from dlm_core.bundle import Model
from dlm_core.control.lengths import Lengths
from dlm_core.control.protocol import BuildContext
from dlm_core.control.state import State
from dlm_core.errors import UnsatisfiableError
from dlm_core.generation.generate import generate
from dlm_core.guidance.guard import Guard


@pytest.mark.parametrize(
    ("spec", "words", "satisfied"),
    [
        (Length(3), 3, True),
        (Length(3), 2, False),
        (Length(3), 4, False),
        (Length(2, 4), 2, True),
        (Length(2, 4), 4, True),
        (Length(2, 4), 5, False),
        (Length(1), 0, False),
    ],
)
def test_length_counts_words(spec: Length, words: int, satisfied: bool) -> None:
    verdict = spec.verify(" ".join(["a"] * words))
    assert verdict.satisfied is satisfied and verdict.detail == f"{words} words"


@pytest.mark.parametrize(
    ("text", "satisfied", "detail"),
    [
        ("The Mill is a pub .", True, "3 words between"),
        ("The Mill pub .", True, "1 words between"),
        ("The Mill .", False, "0 words between"),
        ("The Eagle is a pub .", False, "the context has changed"),
        ("The Mill is a pub", False, "the context has changed"),
        ("the Mill is a pub .", False, "the context has changed"),
    ],
)
def test_infill_wants_both_sides_word_for_word(text: str, satisfied: bool, detail: str) -> None:
    verdict = Infill(left="The Mill", right=".").verify(text)
    assert (verdict.satisfied, verdict.detail) == (satisfied, detail)


def test_sides_that_overlap_do_not_count_twice() -> None:
    assert Infill(left="a b", right="b c").verify("a b c").satisfied is False


def test_infill_counts_its_words_if_told_how_many() -> None:
    spec = Infill(left="The Mill", right=".", words=2)
    assert spec.verify("The Mill is cheap .").satisfied is True
    assert spec.verify("The Mill is a pub .").satisfied is False


def test_blanks_of_a_context_do_not_count() -> None:
    assert Infill(left="  The   Mill ", right="\t.") == Infill(left="The Mill", right=".")


def test_infill_fixes_both_ends_of_each_text(tiny_model: Model) -> None:
    control = Infill(left="The Mill", right="pub .").build(BuildContext(tiny_model))
    found = control.fixed(torch.tensor([7, 5]), 7).tolist()  # type: ignore[attr-defined]
    left, right = tiny_model.vocab.encode("The Mill"), tiny_model.vocab.encode("pub .")
    assert found == [left + [-1] * 3 + right, left + [-1] + right + [-1] * 2]


def test_infill_log_prob_is_that_of_its_words(
    tiny_model: Model, make_state: Callable[..., State]
) -> None:
    control = Infill(left="The", right=".").build(BuildContext(tiny_model))
    log_q = torch.randn(2, 5, len(tiny_model.vocab)).log_softmax(-1)
    found = control.log_prob(make_state(log_q, lengths=torch.tensor([5, 3])))
    the, stop = tiny_model.vocab.id("The"), tiny_model.vocab.id(".")
    expected = log_q[:, 0, the] + torch.stack([log_q[0, 4, stop], log_q[1, 2, stop]])
    torch.testing.assert_close(found, expected)


def test_infill_lengths_leave_room_for_a_word(tiny_model: Model) -> None:
    assert Infill(left="a b", right="c").lengths(tiny_model.info) == Lengths(4, None)
    assert Infill(left="a b", words=3).lengths(tiny_model.info) == Lengths(5, 5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_an_unknown_word_is_told_and_stands(
    side: str, tiny_model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    spec = Infill(**{side: "The Millx's pub"})
    spec.check(tiny_model.info)
    assert f"field '{side}'" in caplog.text and "did you mean 'Mill'?" in caplog.text
    for result in generate(tiny_model, spec, n=4, sampling={"steps": 3}):
        assert result.satisfied and "The Millx's pub" in result.text


def test_an_unknown_word_does_not_stand_beside_a_pattern(tiny_model: Model) -> None:
    with pytest.raises(UnsatisfiableError, match="'Millx'"):
        generate(tiny_model, [Infill(left="The Millx"), Keyword("pub")])


def test_length_is_met_by_construction(tiny_model: Model, make_state: Callable[..., State]) -> None:
    guard = Guard(Length(3).build(BuildContext(tiny_model)), 5.0, "length:3", "")
    state = make_state(torch.randn(2, 3, 4).log_softmax(-1))
    assert guard.log_prob(state).tolist() == [0.0, 0.0]
    torch.testing.assert_close(guard.tilt(state), state.token_log_probs)
