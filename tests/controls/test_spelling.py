"""Words as people type them: cut as the corpus cuts them, in steering and verdicts alike."""

from __future__ import annotations

import logging

import pytest

from dlm_controls import Avoid, Infill, Keyword, Length, Pattern, Pos, Span, Tree
from dlm_controls.pattern import language
from dlm_controls.spelling import ranks, split, unknown
from dlm_core.bundle import Model
from dlm_core.config import SamplingConfig
from dlm_core.control.compose import Controls, ControlSpec, as_controls
from dlm_core.errors import SpecError, UnsatisfiableError
from dlm_core.generation.generate import generate

# The most frequent first.
KNOWN = ranks(
    ["the", ".", "-", "pub", "'", "It", "s", "family", "friendly", "£", "20", "25", "t", "don"]
)
RARER = {**KNOWN, "'t": 90, "20-": 91}


@pytest.mark.parametrize(
    ("word", "tokens"),
    [
        ("pub", ["pub"]),
        ("family-friendly", ["family", "-", "friendly"]),
        ("family\u2013friendly", ["family", "-", "friendly"]),
        ("It's", ["It", "'", "s"]),
        ("It\u2019s", ["It", "'", "s"]),
        ("£20", ["£", "20"]),
        ("£20-25.", ["£", "20", "-", "25", "."]),
        ("don't", ["don", "'", "t"]),
        ("sushi-pub", None),
        ("PUB", None),
    ],
)
def test_a_word_is_split_as_the_model_knows_it(word: str, tokens: list[str] | None) -> None:
    assert split(word, KNOWN) == split(word, RARER) == tokens
    assert (unknown(word, KNOWN) is None) == (tokens is not None)


def test_what_is_unknown_of_a_word_is_named() -> None:
    found = unknown("pub-sushi", KNOWN)
    assert found is not None and (found.text, found.at) == ("sushi", 4)
    found = unknown("PUB", KNOWN)
    assert found is not None and found.hint == "did you mean 'pub'?"
    found = unknown("zebra", KNOWN)
    assert found is not None and "none of them is near" in found.hint


@pytest.mark.parametrize(
    "spec",
    [
        Keyword("family-friendly"),
        Keyword("pub."),
        Pattern("... is not family-friendly."),
        Infill(left="The pub", right="family-friendly."),
        Infill(right="family-friendly.") + Keyword("pub"),
    ],
    ids=str,
)
def test_typed_words_steer_and_are_found(spec: ControlSpec | Controls, tiny_model: Model) -> None:
    results = generate(tiny_model, spec, n=3, sampling=SamplingConfig(steps=2))
    for result in results:
        assert all(c.satisfied for c in result.controls), result.text
        assert set(result.tokens) <= set(tiny_model.vocab.plain_words)


def test_a_typed_word_counts_as_its_tokens(tiny_model: Model) -> None:
    lengths = Infill(left="family-friendly", words=2).lengths(tiny_model.info)
    assert (lengths.low, lengths.high) == (5, 5)
    assert Pattern("family-friendly").lengths(tiny_model.info).low == 3


def test_a_leaf_is_not_split_but_the_leaves_are_shown(tiny_model: Model) -> None:
    with pytest.raises(SpecError) as caught:
        as_controls(Tree("(S (NP The pub.))")).check(tiny_model.info)
    assert caught.value.hint == "2 leaves: write pub ."


PHRASE = "family friendly"


@pytest.mark.parametrize(
    "text",
    [
        "a family - friendly pub",
        "a family-friendly pub",
        "Family friendly .",
        "Family-Friendly .",
        "FAMILY - FRIENDLY .",
    ],
)
def test_avoid_means_a_phrase_in_all_its_spellings(text: str) -> None:
    assert Avoid(PHRASE).verify(text).satisfied is False
    assert Avoid("family-friendly").verify(text).satisfied is False
    assert Avoid(phrases=(PHRASE,), exact=True).verify(text).satisfied is True
    assert Keyword(PHRASE).verify(text).satisfied is False
    assert Keyword(phrases=(PHRASE,), exact=False).verify(text).satisfied is True
    assert Avoid(PHRASE).verify("friendly to a family").satisfied is True


def test_avoid_steers_around_every_spelling(tiny_model: Model) -> None:
    results = generate(tiny_model, Avoid("the,is"), n=4, sampling=SamplingConfig(steps=2))
    assert not any({"the", "The", "is"} & set(result.tokens) for result in results)
    with pytest.raises(UnsatisfiableError, match="no text meets both"):
        (Pattern("The ...") + Avoid("the")).check(tiny_model.info)
    (Pattern("The ...") + Avoid(phrases=("the",), exact=True)).check(tiny_model.info)


@pytest.mark.parametrize("controls", [Avoid("quantum mechanics"), ~Keyword("xylophone")], ids=str)
def test_what_holds_anyway_is_told_once(
    controls: ControlSpec | Controls, tiny_model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    language.warn.cache_clear()
    with caplog.at_level(logging.WARNING, "dlm"):
        for _ in range(2):
            results = generate(tiny_model, controls, sampling=SamplingConfig(steps=2))
    assert len(caplog.records) == 1 and "anyway" in caplog.text
    assert all(c.satisfied for r in results for c in r.controls)


def test_composed_and_decomposed_accents_are_one_word() -> None:
    assert Keyword("Cafe\u0301").phrases == ("Caf\u00e9",)
    assert Keyword("Caf\u00e9").verify("the Cafe\u0301 .").satisfied


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        (Pos(tags=("DET", "NOUN")) + Pos(tags=("NOUN", "DET")), "no sequence of tags"),
        (Pos(tags=("DET", "...")) + Pos(tags=("NOUN", "...")), "no sequence of tags"),
        (Span(0, 1, "NP") + Span(1, 2, "NP"), "the spans cross"),
        (Tree("(S (NP The pub) (VP is))") + Avoid("pub"), "the tree's words"),
        (Tree("(S (NP The pub) (VP is))") + Keyword("cheap"), "the tree's words"),
        (Tree("(S (NP * *) (VP is))") + Infill(left="The Mill near"), "the tree's words"),
        (Tree("(S (NP * *) (VP is))") + Span(1, 2, "PP"), "the tree has no PP there"),
        (Tree("(S (NP The *) *)") + Tree("(S (NP A *) *)"), "one has 'The' where the other"),
        (Tree("(S (NP * *) *)") + Tree("(S (VP * *) *)"), "other constituents"),
    ],
)
def test_contradictions_across_kinds(controls: Controls, message: str, tiny_model: Model) -> None:
    with pytest.raises(UnsatisfiableError, match=message) as caught:
        controls.check(tiny_model.info)
    for term in controls:
        assert term.label in str(caught.value)


@pytest.mark.parametrize(
    "controls",
    [
        Pos(tags=("DET", "...")) + Pos(tags=("...", "NOUN")),
        Pos(tags=("*", "NOUN")) + Pos(tags=("DET", "*")),
        Span(0, 1, "NP") + Span(2, 3, "NP") + Span(0, 3, "S"),
        Tree("(S (NP The *) (VP is))") + Keyword("pub") + Span(0, 1, "NP"),
        Tree("(S (NP The *) (VP is))") + Length(3) + Avoid("cheap"),
    ],
    ids=str,
)
def test_what_can_be_met_together_is_not_refused(controls: Controls, tiny_model: Model) -> None:
    controls.check(tiny_model.info)
