"""Targets drawn from a text are met by that text, by each control's own verdict."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from dlm_core.control.compose import ControlSpec
from dlm_core.control.learning import ChecksTraining, DrawsTargets, trainable
from dlm_core.corpora import Example
from dlm_core.errors import MissingError, UsageError
from dlm_core.plugins.loading import load_plugins

TEXTS = (
    "The Mill is a cheap pub near Burger King .",
    "The Eagle is a French restaurant near The Mill .",
    "A cheap restaurant near the riverside is The Eagle .",
    "Bibimbap House , which serves French food , is not family - friendly .",
)


@pytest.fixture(scope="module")
def kinds() -> dict[str, type[ControlSpec]]:
    return load_plugins(chosen=()).controls


@pytest.mark.parametrize("kind", ["length", "infill", "keyword", "semantic", "pos", "tree", "span"])
def test_the_text_itself_meets_what_is_drawn_from_it(
    kinds: dict[str, type[ControlSpec]], kind: str, request: pytest.FixtureRequest
) -> None:
    if kind == "pos":
        pytest.importorskip("spacy")
    if kind in ("tree", "span"):
        pytest.importorskip("benepar")
        if not os.environ.get("DLM_PARSER"):
            shared: Path = request.getfixturevalue("shared")
            monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
            monkeypatch.setenv("DLM_PARSER", str(shared / "models" / "benepar-minilm"))
    cls, seen = kinds[kind], set()
    assert issubclass(cls, DrawsTargets)
    for seed, text in enumerate(TEXTS * 3):
        spec = cls.draw_target(Example(text), Random(seed), "")
        assert isinstance(spec, cls)
        verdict = spec.verify(text)
        assert verdict.satisfied, (str(spec), verdict)
        seen.add(str(spec))
    assert len(seen) > 1
    assert cls.draw_target(Example(TEXTS[0]), Random(5), "") == cls.draw_target(
        Example(TEXTS[0]), Random(5), ""
    )


def test_facts_are_those_of_the_meaning_representation(
    kinds: dict[str, type[ControlSpec]],
) -> None:
    semantic, mr, classify = kinds["semantic"], kinds["mr"], kinds["classify"]
    assert issubclass(semantic, DrawsTargets) and issubclass(classify, DrawsTargets)
    assert issubclass(mr, DrawsTargets)
    example = Example("It is cheap .", {"food": "Italian", "label": "yes", "area": ""})
    drawn = {str(semantic.draw_target(example, Random(k), "")) for k in range(20)}
    assert drawn == {"semantic:food=Italian", "semantic:label=yes"}
    assert semantic.draw_target(Example("It is there ."), Random(0), "") is None
    assert str(mr.draw_target(example, Random(0), "")) == 'mr:"food[Italian], label[yes]"'
    assert mr.draw_target(Example("It is cheap ."), Random(0), "") is None
    assert str(classify.draw_target(example, Random(0), "mood")) == "classify:mood=yes"
    assert classify.draw_target(Example("It ."), Random(0), "mood") is None


def test_what_training_would_refuse_is_refused_before(
    kinds: dict[str, type[ControlSpec]], tmp_path: Path
) -> None:
    classify, tree = kinds["classify"], kinds["tree"]
    assert issubclass(classify, ChecksTraining) and issubclass(tree, ChecksTraining)
    with pytest.raises(UsageError, match="no field 'label'"):
        classify.check_training([Example("It is cheap .")] * 30)
    classify.check_training([Example("It is cheap .", {"label": k}) for k in ("a", "b")] * 20)
    semantic = kinds["semantic"]
    assert issubclass(semantic, ChecksTraining)
    with pytest.raises(UsageError, match="none of 30 texts have fields"):
        semantic.check_training([Example("It is cheap .")] * 30)
    semantic.check_training([Example("It is cheap .")] * 30, rules="e2e")
    told = [
        Example(f"{n} is {price} .", {"price": price})
        for n in range(60)
        for price in ("cheap", "dear")
    ]
    semantic.check_training(told)
    unsaid = [Example(e.text, {"n": "ab"[k % 3 > 1]}) for k, e in enumerate(told)]
    with pytest.raises(UsageError, match="cannot be read off the texts"):
        semantic.check_training(unsaid)
    with pytest.raises(UsageError, match="no field can be asked for"):
        semantic.check_training([Example("It is cheap .", {"price": "cheap"})] * 30)
    with pytest.raises(MissingError, match="no parser"):
        tree.check_training([], parser=str(tmp_path / "none"))
    heads = {kind for kind, cls in kinds.items() if trainable(cls)}
    assert heads == {"classify", "pos", "semantic", "tree"}
    assert all(issubclass(kinds[kind], DrawsTargets) for kind in heads)
