"""mr: whole meaning representations, what is malformed in them, and what their verdict lists."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_controls import MR, Avoid, Length, Semantic
from dlm_controls.semantic.e2e import tables
from dlm_core.bundle import ModelInfo
from dlm_core.control.compose import Controls, as_controls
from dlm_core.control.parse import parse_spec
from dlm_core.control.shown import Code
from dlm_core.corpora import Example
from dlm_core.errors import SpecError, UnsatisfiableError
from dlm_core.plugins.loading import load_plugins

INFO = ModelInfo.read("e2e")
MILL = MR("name[The Mill], eatType[pub], near[Café Rouge]").bind(INFO)


def read(source: str) -> MR:
    spec = parse_spec(source, load_plugins().controls).spec
    assert isinstance(spec, MR)
    return spec.bind(INFO)


def test_the_same_facts_in_any_form_are_one_spec() -> None:
    for source in (
        'mr:"name[The Mill], eatType[pub], near[Café Rouge]"',
        "mr:near[café rouge],  type[Pub] , name[the mill]",
        'mr:{"name": "The Mill", "eatType": "pub", "near": "Café Rouge"}',
    ):
        assert read(source) == MILL
    assert MR({"name": "The Mill", "eatType": "pub", "near": "Café Rouge"}).bind(INFO) == MILL
    assert MR(near="Café Rouge", name="The Mill", eatType="pub").bind(INFO) == MILL
    assert MR(customer_rating="low").facts == (("customer rating", "low"),)


facts = st.fixed_dictionaries(
    {}, optional={field: st.sampled_from(tables.VALUES[field]) for field in tables.FIELDS}
).filter(lambda mr: mr and mr.get("name") != mr.get("near", ""))


@given(facts)
def test_a_spec_prints_what_parses_to_it(mr: dict[str, str]) -> None:
    spec = MR(mr).bind(INFO)
    assert dict(spec.facts) == mr
    assert read(str(spec)) == spec


@pytest.mark.parametrize(
    ("price", "band"),
    [
        ("£15", "less than £ 20"), ("20", "£ 20 - 25"), ("£ 25", "£ 20 - 25"),
        ("£20-25", "£ 20 - 25"), ("29 pounds", "more than £ 30"), ("£45", "more than £ 30"),
        ("less than £20", "less than £ 20"), ("moderate", "moderate"),
    ],
)  # fmt: skip
def test_a_price_in_numbers_is_its_band(price: str, band: str) -> None:
    assert MR(priceRange=price).bind(INFO).facts == (("priceRange", band),)


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        ("name[The Mill], pub", "character 17, 'pub': expected FIELD[VALUE]", "name["),
        ("name[The Mill", "character 1", "name["),
        ("fod[French]", "unknown field 'fod'", "'food'"),
        ("food[Frnch]", "unknown food 'Frnch'", "'French'"),
        ("area[]", "is empty", ""),
        ("name[The Mill], name[Zizzi]", "'name' stands twice: 'The Mill' and 'Zizzi'", ""),
        ("name[The Rice Boat], near[The Rice Boat]", "is not near itself", ""),
        ('{"food": ', "not JSON", "for example mr:"),
    ],
)
def test_what_is_malformed_is_shown(body: str, message: str, hint: str) -> None:
    with pytest.raises((SpecError, UnsatisfiableError)) as caught:
        read(f"mr:{body}")
    assert message in str(caught.value) and hint in (caught.value.hint or "")


def verdict(text: str) -> dict[str, bool]:
    return dict(MILL.verify(text).parts or {})


def test_the_verdict_lists_what_is_not_as_asked() -> None:
    assert MILL.verify("The Mill is a pub near Café Rouge .").satisfied
    assert MILL.verify("Near Café Rouge stands a pub , The Mill .").satisfied
    missing = MILL.verify("The Mill is near Café Rouge .")
    assert not missing.satisfied and missing.detail == "missing: eatType[pub]"
    assert missing.score == pytest.approx(2 / 3)
    added = MILL.verify("The Mill is a cheap pub near Café Rouge .")
    assert added.detail == "added: priceRange[cheap]"
    assert verdict("The Mill is a pub near Zizzi .")["said"] is False
    twice = verdict("The Mill is a pub near Café Rouge . It is close to Café Rouge .")
    assert twice == {"said": True, "consistent": True, "once": False, "nothing_added": True}
    wrong = verdict("The Mill is a pub near Café Rouge and near Zizzi .")
    assert wrong["consistent"] is False


def test_faults_are_what_the_verdict_lists() -> None:
    assert MILL.faults(["The", "Mill", "is", "a", "pub", "near", "Café", "Rouge", "."]) == 0
    assert MILL.faults(["The", "Mill", "is", "a", "cheap", "coffee", "shop", "."]) >= 3


def test_codes_of_facts_and_silence_agree_with_those_of_texts() -> None:
    (shown,) = Semantic.read_shown([Example("The Mill is a pub near Café Rouge .")], INFO)
    assert shown is not None and set(MILL.shown(9).whole) == set(shown.whole)
    assert Code("semantic:no food") in MILL.shown(9).whole


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Semantic(name="Zizzi"), "are not both its name"),
        (Semantic(food="French"), "'food' is not among the facts"),
        (MR("name[The Mill], food[French]"), "not among the facts"),
        (Avoid("pub"), "no words are left that say 'pub'"),
    ],
)
def test_what_it_excludes_is_refused_before_sampling(other: object, message: str) -> None:
    for controls in (as_controls([MILL, other]), as_controls([other, MILL])):
        with pytest.raises(UnsatisfiableError) as caught:
            controls.check(INFO)
        assert message in str(caught.value)


def test_facts_that_no_length_holds_are_refused() -> None:
    with pytest.raises(UnsatisfiableError):
        Controls.check(as_controls([MILL, Length(3)]), INFO)


def test_it_completes_fields_and_values() -> None:
    assert MR.complete("na")[0] == "name["
    assert "name[Zizzi], eatType[" in MR.complete("name[Zizzi], ")
    assert "name[Zizzi], name[" not in MR.complete("name[Zizzi], ")
    assert MR.complete("area[") == ["area[riverside]", "area[city centre]"]


@pytest.mark.skipif("DLM_SHARED" not in os.environ, reason="needs DLM_SHARED for E2E's MRs")
def test_every_mr_of_the_corpus_is_read() -> None:
    path = Path(os.environ["DLM_SHARED"]) / "data/e2e/valid.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = {row["mr"] for row in csv.DictReader(file)}
    assert len(rows) == 547
    for mr in rows:
        assert len(MR(mr).bind(INFO).facts) == mr.count("[")
