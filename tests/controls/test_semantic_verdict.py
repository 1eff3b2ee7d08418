"""Verdicts of semantic on texts that say too much: denials, second values, values run together."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from dlm_controls import Semantic
from dlm_controls.semantic.e2e.oracle import exclude, judge
from dlm_controls.semantic.e2e.reader import canonical_value
from dlm_controls.semantic.e2e.tables import FIELDS
from dlm_core.corpora import read_corpus

PARTS = ("value", "right_field", "consistent")


def parts(field: str, value: str, text: str) -> str:
    """The parts that hold, by their first letters."""
    verdict = Semantic(field=field, value=value).verify(text)
    assert verdict.parts is not None and tuple(verdict.parts) == PARTS
    assert verdict.satisfied is all(verdict.parts.values())
    assert bool(verdict.detail) is not verdict.satisfied
    return "".join(name[0] for name, held in verdict.parts.items() if held)


@pytest.mark.parametrize(
    ("field", "value", "text", "held", "detail"),
    [
        # two values of one field
        ("rating", "1 out of 5", "customer rating 1 out of 5 and 5 out of 5 .", "vr", "5 out of 5"),
        ("food", "Japanese", "It serves Japanese food and Italian food .", "vr", "Italian"),
        ("food", "Italian", "serves Italian and French and Chinese food", "vr", "Chinese"),
        ("area", "riverside", "In riverside . In the city centre .", "vr", "city centre"),
        ("price", "cheap", "A cheap pub with high prices .", "vr", "high"),
        ("type", "pub", "A pub and coffee shop .", "vr", "coffee shop"),
        ("family friendly", "yes", "family friendly and not family friendly", "vr", "no"),
        ("family friendly", "no", "family friendly and not family friendly", "vr", "yes"),
        ("near", "Ranch", "Zizzi is near Ranch and near Avalon .", "vr", "Avalon"),
        ("name", "Zizzi", "The Eagle Zizzi is a pub .", "vr", "The Eagle"),
        ("name", "The Eagle", "The Eagle Zizzi is a pub .", "vr", "Zizzi"),
        ("name", "Zizzi", "Zizzi is The Mill , a pub .", "vr", "The Mill"),
        ("name", "The Mill", "Zizzi is The Mill , a pub .", "vr", "Zizzi"),
    ],
)
def test_a_second_value_is_named(field: str, value: str, text: str, held: str, detail: str) -> None:
    assert parts(field, value, text) == held
    assert f"also says '{detail}'" in judge(text.split(), field, value).detail


@pytest.mark.parametrize(
    ("field", "value", "text", "detail"),
    [
        ("food", "Italian", "The Eagle does not serve Italian food .", "does not serve"),
        ("food", "Italian", "The Eagle has no Italian food , only French .", "has no"),
        ("food", "Italian", "It serves neither French nor Italian food .", "neither"),
        ("food", "French", "It serves no Italian , French or Indian food .", "no"),
        ("food", "Italian", "The Eagle is a pub without Italian food .", "without"),
        ("food", "Italian", "Italian food is not served here .", "is not served"),
        ("food", "Italian", "Italian food is nowhere to be found .", "is nowhere to be found"),
        ("food", "Italian", "They dont serve Italian food .", "dont serve"),
        ("food", "Italian", "Nobody would call it Italian .", "Nobody would call it"),
        ("type", "pub", "A pub it is not .", "it is not"),
        ("food", "Italian", "It used to serve Italian food .", "used to serve"),
        ("food", "Italian", "Instead of Italian it serves French food .", "Instead of"),
        ("food", "Italian", "The food is anything but Italian .", "is anything but"),
        ("area", "riverside", "in the city centre , not in riverside", "not in"),
        ("area", "riverside", "The Mill is far from the riverside .", "is far from"),
        ("area", "riverside", "The Mill isn't in riverside .", "isn't in"),
        ("area", "riverside", "The Mill isn ' t in riverside .", "isn ' t in"),
        ("area", "riverside", "The riverside is far away .", "is far"),
        ("area", "riverside", "It lies outside riverside .", "outside"),
        ("area", "city centre", "It is outside the city centre .", "is outside"),
        ("area", "city centre", "It is not in the city centre .", "is not"),
        ("area", "city centre", "It is away from the city centre .", "is away from"),
        ("price", "cheap", "It is no longer cheap .", "is no longer"),
        ("price", "cheap", "It is far from cheap .", "is far from"),
        ("price", "cheap", "The Mill isn ' t cheap .", "isn ' t"),
        ("price", "more than £ 30", "It costs no more than £ 30 .", "no"),
        ("rating", "high", "It does not have a high rating .", "does not have"),
        ("rating", "5 out of 5", "It has never had 5 out of 5 .", "has never had"),
        ("type", "pub", "The Mill is not a pub .", "is not"),
        ("near", "Burger King", "It is not near Burger King .", "is not near"),
        ("near", "Burger King", "It is far from Burger King .", "is far from"),
        ("name", "The Mill", "This is not The Mill .", "is not"),
        ("family friendly", "yes", "It is far from family friendly .", "is far from"),
        ("family friendly", "no", "It is not adults only .", "is not"),
    ],
)
def test_what_is_denied_is_not_stated(field: str, value: str, text: str, detail: str) -> None:
    assert parts(field, value, text) == "v"
    assert f"denied: '{detail}'" in judge(text.split(), field, value).detail


def test_no_longer_family_friendly_says_no() -> None:
    assert parts("family friendly", "yes", "It is no longer family friendly .") == ""
    assert parts("family friendly", "no", "It is no longer family friendly .") == "vrc"


def test_a_fact_stated_and_denied_is_no_fact() -> None:
    assert parts("food", "Italian", "Italian but not Italian food .") == "vr"


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("food", "French", "The Eagle has no Italian food , only French ."),
        ("food", "French", "It does not serve Italian , it serves French food ."),
        ("food", "French", "Instead of Italian it serves French food ."),
        ("food", "Italian", "Not only cheap but Italian food ."),
        ("food", "Chinese", "Do not miss the Chinese food ."),
        ("area", "city centre", "in the city centre , not in riverside"),
        ("area", "riverside", "The Mill is not far from the riverside ."),
        ("area", "riverside", "It is a short walk away from the riverside ."),
        ("area", "riverside", "No day is complete without the riverside ."),
        ("type", "pub", "It is not a cheap pub ."),
        ("type", "pub", "It is not a family friendly pub ."),
        ("type", "pub", "The pub is not cheap ."),
        ("near", "Ranch", "Not family friendly , Zizzi is near Ranch ."),
        ("near", "Burger King", "Near Burger King Zizzi serves sushi ."),
        ("name", "Zizzi", "Near Burger King Zizzi serves sushi ."),
        ("name", "Zizzi", "For less than £ 20 Zizzi serves sushi ."),
        ("name", "Zizzi", "No children are allowed in Zizzi ."),
        ("name", "Zizzi", "A cheap pub called Zizzi ."),
        ("price", "£ 20 - 25", "You pay around £ 20 - 25 ."),
        ("price", "cheap", "A cheap pub for less than £ 20 ."),
        ("rating", "low", "a low customer rating of 1 out of 5"),
        ("type", "restaurant", "The Mill pub is a restaurant ."),
        ("family friendly", "no", "A non family pub ."),
        ("family friendly", "yes", "It welcomes families with children ."),
    ],
)
def test_what_a_reader_takes_is_satisfied(field: str, value: str, text: str) -> None:
    assert parts(field, value, text) == "vrc"


@pytest.mark.parametrize(
    ("field", "value", "text", "held", "detail"),
    [
        (
            "name",
            "Zizzi",
            "A pub less than £ 20 Zizzi near The Mill .",
            "v",
            "'Zizzi' stands where",
        ),
        ("price", "less than £ 20", "A pub less than £ 20 Zizzi .", "vr", "runs into 'Zizzi'"),
        ("name", "Zizzi", "less than £ 20 Zizzi", "v", "'Zizzi' stands where no name can"),
        ("name", "Zizzi", "near near Zizzi Zizzi Zizzi", "v", "is both name and near"),
        ("near", "Zizzi", "near near Zizzi Zizzi Zizzi", "v", "is both name and near"),
        ("name", "The Mill", "The Mill is near The Mill .", "vr", "is both name and near"),
        ("rating", "5 out of 5", "It is 5 out of 5 less than £ 20 .", "vr", "runs into"),
        ("price", "less than £ 20", "It is less than £ 20 25 .", "vr", "runs into '25'"),
        ("food", "Japanese", "Japanese Japanese food", "vr", "twice in a row"),
        ("food", "Japanese", "Japanese food and Japanese food", "vr", "twice in a row"),
    ],
)
def test_what_is_glued_or_repeated_is_refused(
    field: str, value: str, text: str, held: str, detail: str
) -> None:
    assert parts(field, value, text) == held
    assert detail in judge(text.split(), field, value).detail


def test_what_is_not_there_is_only_that() -> None:
    verdict = Semantic(food="Italian").verify("The Mill is a pub .")
    assert verdict.parts == {"value": False, "right_field": False, "consistent": True}
    assert verdict.detail == "'Italian' does not occur"
    verdict = Semantic(price="high").verify("It has a high customer rating .")
    assert verdict.parts == {"value": True, "right_field": False, "consistent": True}
    assert verdict.detail == "'high' occurs, but not as priceRange"


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("The Mill serves food .", True),
        ("The Mill serves French food .", True),
        ("The Mill serves Japanese food .", False),
        ("The Mill serves sushi .", False),
        ("The Mill serves Japanese food and French food .", False),
        ("The Mill does not serve Japanese food .", False),  # who denies it speaks of it
    ],
)
def test_the_contrary_is_a_text_that_does_not_speak_of_it(text: str, held: bool) -> None:
    verdict = Semantic(food="Japanese").verify_not(text)
    assert verdict.satisfied is held and verdict.detail


def test_values_that_can_both_be_true() -> None:
    assert not exclude("priceRange", "cheap", "less than £ 20")
    assert not exclude("eatType", "restaurant", "pub") and exclude("eatType", "coffee shop", "pub")
    assert exclude("food", "French", "Italian") and not exclude("food", "French", "French")


def test_references_of_the_corpus_hold_where_they_state_the_fact() -> None:
    shared = os.environ.get("DLM_SHARED")
    if not shared:
        pytest.skip("DLM_SHARED does not name the folder of the E2E corpus")
    examples = read_corpus(f"e2e:{Path(shared) / 'data/e2e/valid.csv.gz'}")[::4]
    said: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for example in examples:
        for field, value in example.fields.items():
            if field not in FIELDS:
                continue
            assert canonical_value(field, value)
            found = judge(example.text.split(), field, value)
            if found.right_field:
                said[field] += 1
                held[field] += found.consistent
    for field in FIELDS:  # the rest tells another value as well
        assert said[field] > 400 and held[field] / said[field] > 0.975, (field, held[field])
