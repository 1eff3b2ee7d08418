"""Tokenised text as one writes it."""

from __future__ import annotations

import pytest

from dlm_core.natural import detokenise as plain
from dlm_core.results import Result


@pytest.mark.parametrize(
    ("tokens", "written"),
    [
        (
            "The Mill is family - friendly , near Café Rouge .",
            "The Mill is family-friendly, near Café Rouge.",
        ),
        ("prices are £ 20 - 25 .", "prices are £20-25."),
        ("It 's a pub ; it isn 't cheap , they say .", "It's a pub; it isn't cheap, they say."),
        ("they do n't say", "they don't say"),
        ("Browns ' pub ( cheap ) : 5 out of 5 . .", "Browns' pub (cheap): 5 out of 5. ."),
        ("from £ 20- 25", "from £20- 25"),
        ("- a pub", "- a pub"),
        ("", ""),
    ],
)  # fmt: skip
def test_marks_join_their_words(tokens, written):
    assert plain(tokens) == written and plain(written) == written


def test_a_result_has_both():
    result = Result(text="a pub .", tokens=["a", "pub", "."], seed=0)
    assert (result.text, result.plain) == ("a pub .", "a pub.")
    assert result.model_dump()["plain"] == "a pub."
