"""Places that the corpus never saw: in requests, in texts, in verdicts."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dlm_core as dlm
from dlm_controls import MR, Semantic
from dlm_controls.semantic.domain import Fact
from dlm_controls.semantic.e2e import tables
from dlm_controls.semantic.known import e2e
from dlm_controls.semantic.places import replace
from dlm_core.bundle import Model, ModelInfo
from dlm_core.control.compose import as_controls
from dlm_core.errors import UnsatisfiableError

WORDS = st.lists(st.sampled_from("abc"), max_size=12)


@given(words=WORDS, old=st.lists(st.sampled_from("abc"), min_size=1, max_size=3))
def test_runs_are_replaced_as_strings_are(words: list[str], old: list[str]) -> None:
    text = "".join(words)
    assert "".join(replace(words, old, ["x", "y"])) == text.replace("".join(old), "xy")


def test_a_stand_in_is_a_known_place_of_as_many_words() -> None:
    for field in ("name", "near"):
        for value in ("Noma", "Dragon's Nest", "Chez Panisse Two"):
            place = e2e().stand_in(field, value)
            assert place in tables.VALUES[field] and place == e2e().stand_in(field, value)
            assert len(place.split()) == len(value.split())
    assert e2e().stand_in("name", "A B") != e2e().stand_in("near", "A B")


def test_a_text_is_judged_by_the_words_that_were_typed() -> None:
    nest = Semantic(name="Dragon's Nest")
    assert nest.verify("Dragon's Nest is a pub near Avalon .").satisfied
    assert not nest.verify("It is a pub near Dragon's Nest .").satisfied
    assert not nest.verify(f"{nest.mr_value} is a pub near Avalon .").satisfied
    mr = MR(name="Dragon's Nest", eatType="pub")
    assert mr.verify("Dragon's Nest is a pub .").satisfied
    assert mr.verify("Zizzi is a pub .").detail.startswith("missing: name[Dragon's Nest]")


def test_it_is_told_once_with_the_nearest(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "dlm"):
        Semantic(name="Blu Spice").check(ModelInfo.read("e2e"))
    assert "never saw 'Blu Spice'" in caplog.text and "'Blue Spice'" in caplog.text


def test_two_unknown_names_exclude_each_other() -> None:
    with pytest.raises(UnsatisfiableError, match="are not both its name"):
        as_controls([Semantic(name="Noma"), Semantic(name="Nomi")]).check(ModelInfo.read("e2e"))


def test_the_typed_words_stand_in_the_text() -> None:
    model = Model.load("e2e")
    asked = MR(name="Dragon's Nest", eatType="pub", near="Noma")
    results = dlm.generate(model, asked, n=4, sampling={"steps": 12})
    assert any("Dragon's Nest" in r.text and "Noma" in r.text for r in results)
    for result in results:
        for spec in asked.specs[::2]:
            assert f" {spec.mr_value} " not in f" {result.tokenised} "


def test_as_known_turns_the_stand_in_into_another() -> None:
    place = e2e().stand_in("near", "Noma")
    words = e2e().as_known(Fact("near", place, "Noma"), f"Noma {place} end".split())
    assert words[: len(place.split())] == place.split() and words.count(place) == 1
