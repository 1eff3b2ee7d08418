"""Text into tokens and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_core.natural import detokenise, tokenise

WORDS = st.sampled_from(
    [
        "The",
        "Mill",
        "pub",
        "family",
        "friendly",
        "-",
        "£",
        "20",
        "25",
        ".",
        ",",
        "!",
        "'s",
        "'t",
        "It",
        "isn",
        "'",
        '"',
        "(",
        ")",
        "20-",
        "St.",
        "...",
        "Café",
    ]
)


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("It is family - friendly , near Café Rouge .", "It is family-friendly, near Café Rouge."),
        ("prices are £ 20 - 25 .", "prices are £20-25."),
        ("It 's a pub ; it isn 't cheap .", "It's a pub; it isn't cheap."),
        ("Browns ' pub ( cheap ) : 5", "Browns' pub (cheap): 5"),
        ('He said " no " .', 'He said "no".'),
    ],
)  # fmt: skip
def test_known_texts(tokens, text):
    assert detokenise(tokens) == text
    assert tokenise(text) == tokens.split() == tokenise(tokens)


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("they do n't say", "they don't say"),
        ("5 out of 5 . .", "5 out of 5. ."),
        ("from £ 20- 25", "from £20- 25"),
        ("- a pub", "- a pub"),
        ("", ""),
    ],
)
def test_odd_marks(tokens, text):
    assert detokenise(tokens) == text and detokenise(text) == text


def test_a_word_of_the_vocabulary_stays():
    assert tokenise("a family-friendly pub.", {"family-friendly"}) == [
        "a",
        "family-friendly",
        "pub",
        ".",
    ]


def test_a_full_stop_that_a_word_took_with_it_is_cut():
    """E2E has `5.` among its words, beside `5 .`; an abbreviation keeps its own."""
    known = {"5.", "5", ".", "..", "Mr.", "Mr", "p.m.", "5.5"}
    assert tokenise("5 out of 5. At 5.5 p.m. Mr. Y ate ..", known) == [
        *["5", "out", "of", "5", ".", "At", "5.5", "p.m.", "Mr.", "Y", "ate", ".."]
    ]


@given(st.lists(WORDS))
def test_tokens_come_back(words):
    assert tokenise(detokenise(words)) == tokenise(" ".join(words))


@given(st.text())
def test_tokens_stay_tokens(text):
    once = tokenise(text)
    assert tokenise(" ".join(once)) == once
    assert "".join(once) == "".join(text.split())
