"""An accent typed in two ways is one word, in specs and in texts that are judged."""

from __future__ import annotations

import pytest

import dlm_core as dlm
from dlm_controls import Keyword, Semantic
from dlm_core.bundle import ModelInfo
from dlm_core.control.compose import Term
from dlm_core.plugins.loading import load_plugins

NFD, NFC = "Cafe\u0301", "Caf\u00e9"


@pytest.mark.parametrize(
    "source",
    [f"keyword:{NFD}", f'keyword:"{NFD}"', f"semantic:near={NFD} Rouge", f"not keyword:{NFD}"],
)
def test_a_spec_is_the_same_in_both_forms(source):
    kinds = load_plugins().controls
    term = dlm.parse_spec(source, kinds)
    assert term.spec == dlm.parse_spec(source.replace(NFD, NFC), kinds).spec
    assert NFD not in str(term)
    term.spec.check(ModelInfo.read("e2e"))


def test_json_and_python_give_the_same_spec():
    kinds = load_plugins().controls
    assert Semantic(near=f"{NFD} Rouge") == Semantic(near=f"{NFC} Rouge")
    assert Keyword(NFD) == Keyword(NFC)
    escaped = 'semantic:{"field": "near", "value": "Cafe\\u0301 Rouge"}'
    assert dlm.parse_spec(escaped, kinds).spec == Semantic(near=f"{NFC} Rouge")


def test_the_place_of_an_error_is_shown_in_the_normal_form():
    with pytest.raises(dlm.SpecError) as caught:
        term = dlm.parse_spec(f"semantic:food={NFD} Klingon", load_plugins().controls)
        term.spec.check(ModelInfo.read("e2e"))
    source = f"semantic:food={NFC} Klingon"
    assert caught.value.source == source
    assert caught.value.span is not None and caught.value.span[1] <= len(source)


def test_a_text_in_nfd_is_judged_as_in_nfc():
    info = ModelInfo.read("e2e")
    text = f"The Mill is a pub near {NFD} Rouge ."
    for spec in (Keyword(NFC), Semantic(near=f"{NFC} Rouge")):
        assert Term(spec).verify(text, info).satisfied
