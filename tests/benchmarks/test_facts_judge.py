"""The judge of facts on sentences worked out by hand, and on the corpus's own pairs."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from facts_judge import FactsJudge, agree, agreement, facts, read_csv

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

NAMES = ("The Mill", "The Punter", "The Rice Boat", "Browns Cambridge")
PLACES = ("Café Rouge", "The Rice Boat", "Raja Indian Cuisine", "All Bar One")
PRICE, RATING, FAMILY = "priceRange", "customer rating", "familyFriendly"


@pytest.fixture(scope="module")
def judge() -> FactsJudge:
    return FactsJudge(NAMES, PLACES)


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        (
            "The Mill is a family - friendly pub near Café Rouge .",
            {("name", "The Mill"), (FAMILY, "yes"), ("eatType", "pub"), ("near", "Café Rouge")},
        ),
        ("a family-friendly pub.", {(FAMILY, "yes"), ("eatType", "pub")}),
        ("It is not family - friendly .", {(FAMILY, "no")}),
        ("It isn 't kid friendly and serves sushi .", {(FAMILY, "no"), ("food", "Japanese")}),
        ("Children are not welcome .", {(FAMILY, "no")}),
        ("Not cheap , but family friendly .", {(PRICE, "high"), (FAMILY, "yes")}),
        ("It is for adults only .", {(FAMILY, "no")}),
        ("Prices are less than £ 20 .", {(PRICE, "less than £ 20")}),
        ("Dishes from £20-25 by the river", {(PRICE, "£ 20 - 25"), ("area", "riverside")}),
        ("A price range of more than £ 30 .", {(PRICE, "more than £ 30")}),
        ("It is inexpensive .", {(PRICE, "cheap")}),
        ("It has a high price and a low rating .", {(PRICE, "high"), (RATING, "low")}),
        ("The price is high and the rating is average .", {(PRICE, "high"), (RATING, "average")}),
        ("It is highly rated with moderate prices .", {(RATING, "high"), (PRICE, "moderate")}),
        ("low price and customer rating", {(PRICE, "cheap"), (RATING, "low")}),
        ("low rating and price range of £ 20 - 25", {(RATING, "low"), (PRICE, "£ 20 - 25")}),
        ("a moderate place rated 1 out of 5", {(RATING, "1 out of 5")}),
        ("It is rated five out of five .", {(RATING, "5 out of 5")}),
        ("a one star restaurant", {(RATING, "1 out of 5"), ("eatType", "restaurant")}),
        ("an average customer rating of 1 out of 5", {(RATING, "1 out of 5")}),
        ("It does not have good customer ratings .", {(RATING, "low")}),
        ("in the city centre", {("area", "city centre")}),
        ("north of the city centre", set()),
        ("It is near Raja Indian Cuisine .", {("near", "Raja Indian Cuisine")}),
        ("The Rice Boat is a pub .", {("name", "The Rice Boat"), ("eatType", "pub")}),
        ("The Mill is by The Rice Boat .", {("name", "The Mill"), ("near", "The Rice Boat")}),
        ("burgers and French fries", {("food", "Fast food")}),
        ("It is a small place with friendly staff .", set()),
    ],
)  # fmt: skip
def test_facts_stated(judge: FactsJudge, text: str, stated: set[tuple[str, str]]) -> None:
    assert set(judge.read(text)) == stated


MR = facts("name[The Mill], eatType[pub], priceRange[cheap], near[Café Rouge]")


def test_a_right_text(judge: FactsJudge) -> None:
    for text in (
        "The Mill is a cheap pub near Café Rouge .",
        "Near Café Rouge there is a pub called The Mill, with prices under £20.",
        "The Mill pub is cheap . The Mill is near Café Rouge .",  # a name may come again
    ):
        verdict = judge.judge(text, MR)
        assert verdict.whole and not verdict.added, text


@pytest.mark.parametrize(
    ("text", "part", "found"),
    [
        ("The Mill is a cheap pub .", "missing", [("near", "Café Rouge")]),
        ("The Mill is a cheap restaurant near Café Rouge .", "missing", [("eatType", "pub")]),
        ("The Mill is a pub near Café Rouge with high prices .", "wrong", [(PRICE, "high")]),
        ("The Punter is a cheap pub near Café Rouge .", "wrong", [("name", "The Punter")]),
        ("The Mill is a cheap French pub near Café Rouge .", "added", [("food", "French")]),
        ("The Mill is a cheap pub near Café Rouge . It is cheap .", "repeated", [(PRICE, "cheap")]),
        ("A cheap pub by Café Rouge , The Mill , is close to the Café Rouge .", "repeated",
         [("near", "Café Rouge")]),
    ],
)  # fmt: skip
def test_a_text_with_one_mistake(
    judge: FactsJudge, text: str, part: str, found: list[tuple[str, str]]
) -> None:
    verdict = judge.judge(text, MR)
    parts = {p: list(getattr(verdict, p)) for p in ("missing", "wrong", "added", "repeated")}
    assert parts.pop(part) == found
    if part != "wrong":  # whoever says another value leaves the right one out
        assert not any(parts.values())


def test_statements_side_by_side_are_one(judge: FactsJudge) -> None:
    assert not judge.judge("The Mill is cheap , with low prices .", {}).repeated
    assert judge.judge("The Mill is cheap . Its prices are low .", {}).repeated


def test_a_text_against_itself(judge: FactsJudge) -> None:
    verdict = judge.judge("The Mill is cheap and it is also an expensive pub .", {})
    assert verdict.contradictory == (PRICE,)
    assert not verdict.consistent


def test_names_nobody_knew(judge: FactsJudge) -> None:
    mr = {"name": "The Ox & Owl", "near": "Bar Nuñez"}
    assert judge.judge("The Ox & Owl is near Bar Nuñez .", mr).whole
    assert judge.judge("The Ox & Owl is a pub .", mr).missing == (("near", "Bar Nuñez"),)


def test_values_that_agree() -> None:
    assert agree(PRICE, "cheap", "less than £ 20")
    assert not agree(PRICE, "cheap", "£ 20 - 25")
    assert agree(RATING, "3 out of 5", "average")
    assert not agree(RATING, "2 out of 5", "low")
    assert agree("eatType", "restaurant", "pub")
    assert not agree("eatType", "coffee shop", "pub")


def test_the_judge_shares_nothing_with_what_steers() -> None:
    for name in ("facts_judge.py", "facts_words.py"):
        source = (BENCHMARKS / name).read_text("utf-8")
        assert not re.search(r"^\s*(?:import|from) dlm_", source, re.MULTILINE)


def test_it_agrees_with_the_corpus() -> None:
    shared = os.environ.get("DLM_SHARED")
    if not shared:
        pytest.skip("DLM_SHARED is not set")
    rows = read_csv(Path(shared) / "data" / "e2e" / "valid.csv.gz")[::20]
    judge = FactsJudge.of(facts(mr) for mr, _ in rows)
    shares = agreement(judge, rows)
    assert 0.6 < shares["exact"] < 0.9  # the references leave facts out
    for field in ("name", "eatType", "near", "food", "area", FAMILY, RATING):
        assert shares[f"{field} P"] > 0.95, field
    assert shares[f"{PRICE} P"] > 0.9
