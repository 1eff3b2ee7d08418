"""Requests with facts that no text can meet are refused before sampling, with both names."""

from __future__ import annotations

import time

import pytest

from dlm_controls import Avoid, Infill, Keyword, Length, Pattern, Semantic
from dlm_core.bundle import ModelInfo
from dlm_core.control.compose import Controls, ControlSpec, as_controls
from dlm_core.control.lengths import Lengths
from dlm_core.control.parse import parse_spec
from dlm_core.errors import PluginError, SpecError, UnsatisfiableError

KINDS: dict[str, type[ControlSpec]] = {
    kind.kind: kind for kind in (Semantic, Avoid, Infill, Keyword, Length, Pattern)
}


@pytest.fixture(scope="module")
def info() -> ModelInfo:
    return ModelInfo.read("e2e")


def controls(*specs: str) -> Controls:
    return Controls(tuple(parse_spec(spec, KINDS) for spec in specs))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("semantic:food=Italian", "semantic:food=French"),
        ("semantic:food=Italian", "semantic:cuisine=french"),
        ("semantic:name=The Mill", "semantic:name=The Eagle"),
        ("semantic:name=The Rice Boat", "semantic:near=the rice boat"),
        ("semantic:near=The Rice Boat", "semantic:name=The Rice Boat"),
        ("semantic:family friendly=yes", "semantic:kid friendly=no"),
        ("semantic:price=cheap", "semantic:price range=more than £30"),
        ("semantic:type=pub", "semantic:type=coffee shop"),
        ("semantic:near=Ranch", "semantic:near=Avalon"),
        ("semantic:food=Italian", "not semantic:food=Italian"),
        ("semantic:food=Italian", "not semantic:cuisine=italian"),
        ("not semantic:rating=5 stars", "semantic:customer rating=5 out of 5"),
        ("semantic:food=Italian", "avoid:Italian"),
        ("semantic:food=Italian", "not keyword:Italian"),
        ("semantic:food=Italian", 'pattern:"The pub is cheap ."'),
        ("semantic:food=Italian", 'not pattern:"... Italian ..."'),
        ("semantic:family friendly=yes", "infill:left=The Mill is,right=near Ranch .,words=1"),
        ("semantic:name=The Mill", "infill:left=Zizzi is,right=.,words=1"),
        ("keyword:Italian", "not semantic:food=Italian"),
        ("not semantic:food=Italian", 'keyword:"cheap Italian",pub'),
        ("infill:left=The Mill is,right=.", "not semantic:name=The Mill"),
    ],
)
def test_what_no_text_can_meet_is_refused(one: str, two: str, info: ModelInfo) -> None:
    for pair in ((one, two), (two, one)):
        with pytest.raises(UnsatisfiableError, match="contradict: ") as caught:
            controls(*pair).check(info)
        assert caught.value.exit_code == 4 and caught.value.hint
        for spec in pair:
            assert f"'{spec}'" in str(caught.value)


def test_what_two_patterns_leave_together_is_looked_at(info: ModelInfo) -> None:
    specs = ["semantic:food=Italian", 'pattern:"The pub (serves Italian food|is cheap) ."']
    controls(*specs).check(info)
    controls(specs[0], "avoid:serves").check(info)
    with pytest.raises(UnsatisfiableError, match="contradict: ") as caught:
        controls(*specs, "avoid:serves").check(info)
    assert all(f"{spec}" in str(caught.value) for spec in (*specs, "avoid:serves"))


@pytest.mark.parametrize(
    "specs",
    [
        ("semantic:price=cheap", "semantic:price=less than £20"),
        ("semantic:rating=low", "semantic:rating=1 out of 5"),
        ("semantic:type=restaurant", "semantic:type=pub"),
        ("semantic:food=Italian", "semantic:cuisine=italian"),
        ("semantic:food=Italian", "not semantic:food=French"),
        ("semantic:name=The Mill", "semantic:near=The Rice Boat", "length:6"),
        ("not semantic:food=Italian", "not semantic:cuisine=Italian"),
        ("semantic:food=Italian", "avoid:cheap"),
        ("semantic:area=riverside", 'pattern:"Riverside ..."'),
        ("semantic:price=£20-25", 'pattern:"... 20 - 25 ..."'),
        ("semantic:family friendly=yes", 'avoid:"family friendly","family - friendly"'),
        ("semantic:family friendly=no", 'pattern:"It is not really kid friendly ."'),
        ("semantic:family friendly=yes", 'pattern:"A family pub ."'),
        ("not semantic:family friendly=yes", 'keyword:"family - friendly"'),
        ("semantic:name=The Mill", "infill:left=The Mill is,right=.,words=1"),
        ("not semantic:food=Italian", "keyword:French"),
    ],
)
def test_what_a_text_can_meet_is_not(specs: tuple[str, ...], info: ModelInfo) -> None:
    controls(*specs).check(info)


@pytest.mark.parametrize("room", ["length:5", "length:2-5", 'pattern:"The * * * *"'])
def test_more_facts_than_words_are_refused_with_all_names(room: str, info: ModelInfo) -> None:
    facts = ("semantic:name=The Mill", "semantic:food=Italian", "semantic:near=Burger King")
    with pytest.raises(UnsatisfiableError, match="want at least 6 words together") as caught:
        controls(*facts, room).check(info)
    assert caught.value.exit_code == 4
    assert all(f"'{fact}'" in str(caught.value) for fact in facts)
    assert controls(*facts, "length:6").check(info) == Lengths(6, 6)
    again = (*facts, "semantic:cuisine=italian", "length:6")  # said once, it is said
    assert controls(*again).check(info) == Lengths(6, 6)


def test_seven_facts_and_a_pattern_are_compared_in_no_time(info: ModelInfo) -> None:
    facts = [
        "semantic:name=The Mill", "semantic:food=Italian", "semantic:near=Burger King",
        "semantic:price=cheap", "semantic:rating=high", "semantic:area=riverside",
        "semantic:family friendly=yes",
    ]  # fmt: skip
    started = time.perf_counter()
    controls(*facts, "keyword:and,food", 'pattern:"The ... ."').check(info)
    assert time.perf_counter() - started < 5


def test_two_facts_in_one_spec_are_told_apart(info: ModelInfo) -> None:
    with pytest.raises(SpecError, match="one fact each") as caught:
        controls("semantic:food=Japanese,area=riverside").check(info)
    hint = "write 'semantic:food=Japanese' and 'semantic:area=riverside'"
    assert caught.value.exit_code == 2 and caught.value.hint == hint


class Odd(ControlSpec):
    """Excludes by a number."""

    kind = "odd"

    def excludes(self, other: ControlSpec, info: ModelInfo) -> str | None:
        return 5  # type: ignore[return-value]


def test_a_reason_that_is_no_string_has_its_controls_name(info: ModelInfo) -> None:
    with pytest.raises(PluginError, match=r"control 'odd'.*excludes.*returned int"):
        as_controls([Odd(), Length(5)]).check(info)
