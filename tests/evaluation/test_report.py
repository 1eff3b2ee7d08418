"""Judged texts to figures, against figures counted by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import pytest

from dlm_controls import Length, Semantic
from dlm_core.bundle import Model, ModelInfo
from dlm_core.control.compose import Controls, ControlSpec, as_controls
from dlm_core.control.verdict import Verdict
from dlm_core.errors import MissingError, PluginError, UsageError
from dlm_core.evaluation.judging import Text, judge
from dlm_core.evaluation.report import By, Report, compare, measure

ITALIAN, PUB = "The Mill serves Italian food .", "The Mill is a cheap pub ."


@pytest.fixture(scope="module")
def info(embedded_model: Model) -> ModelInfo:
    return embedded_model.info


def text(tokens: str, *asked: object, seed: int | None = None) -> Text:
    controls = as_controls(list(asked)) if asked else Controls()  # type: ignore[arg-type]
    return Text(tokens, tokens, controls, seed=seed)


def report(texts: Sequence[Text], info: ModelInfo, by: By | None = None) -> Report:
    return measure(list(judge(texts, info)), by or By(), info)


def value(found: Report, name: str) -> float:
    figure = found.figure(name)
    assert figure is not None, name
    return figure.value


def test_success_by_kind_and_all_together(info: ModelInfo) -> None:
    food, words = Semantic(food="Italian"), Length(6)
    found = report(
        [
            text(ITALIAN, food, words),
            text(ITALIAN + " Yes .", food, words),
            text("The Italian pub is cheap .", ~food, words),
            text(PUB, ~food, Length(7)),
        ],
        info,
    )
    assert value(found, "control") == 2 / 4
    assert value(found, "semantic") == value(found, "semantic.value") == 2 / 2
    assert value(found, "not semantic") == 1 / 2
    assert value(found, "length") == 3 / 4
    assert found.units.names[0] == text("", words, food).target
    assert len(found.units.names) == 3


def test_a_target_is_what_was_asked_not_how_strongly_or_in_which_order() -> None:
    food, words = Semantic(food="Italian"), Length(6)
    assert text("", food, 2 * words).target == text("", words, 0.5 * food).target
    assert text("", ~food).target != text("", food).target


def test_faults_are_those_that_the_control_defines(info: ModelInfo) -> None:
    both = "The Mill serves Italian food . It serves Chinese food ."
    twice = "The Mill serves Italian food . It serves Italian food ."
    texts = [text(ITALIAN), text(both), text(twice), text(twice)]
    found = measure(list(judge(texts, info, [Semantic])), By(), info)
    assert value(found, "contradictions") == 1 / 4
    assert value(found, "repetitions") == 2 / 4
    assert report(texts, info).figure("contradictions") is None, "nobody asked for them"
    assert report(texts, info).figure("control") is None, "nothing was asked"


class Unjudged(ControlSpec):
    """Its judge is not installed."""

    kind: ClassVar[str] = "unjudged"

    def verify(self, text: str) -> Verdict:
        raise MissingError("no judge", "pip install judge")


class Wrong(Unjudged):
    """Its faults are none."""

    @classmethod
    def text_faults(cls, words: Sequence[str]) -> dict[str, list[str]]:
        return ["a"]  # type: ignore[return-value]


def test_what_cannot_be_judged_is_left_out_and_a_faulty_plugin_is_named(info: ModelInfo) -> None:
    found = report([text(PUB, Unjudged(), Length(7)), text(PUB, Unjudged(), Length(9))], info)
    control = found.figure("control")
    assert control is not None and control.texts == 1, "only the one that fails is known to"
    assert control.value == 0 and value(found, "length") == 0.5
    assert found.as_dict()["figures"]["unjudged"]["value"] is None
    with pytest.raises(PluginError, match="text_faults returned list"):
        report([text(PUB, Wrong())], info)


def test_variety_inside_targets_and_in_the_set(info: ModelInfo) -> None:
    texts = [text(ITALIAN, Length(6)), text(ITALIAN, Length(6)), text(PUB, Length(7))]
    found = report([*texts, text("A place by the river , I think .", Length(7))], info)
    assert value(found, "distinct") == 3 / 4
    within = found.figure("self-bleu-4.within")
    assert within is not None and within.rows is not None
    assert within.rows[0] == pytest.approx([200, 2]), "twice the same"
    assert within.rows[1, 0] < 20
    assert report(texts, info).figure("self-bleu-4.within") is None, "a target of one text"


def test_an_empty_text_counts(info: ModelInfo) -> None:
    found = report([text("", Length(6)), text(ITALIAN, Length(6))], info)
    assert value(found, "control") == 0.5 and value(found, "words") == 3


def test_systems_are_compared_by_target(info: ModelInfo) -> None:
    first = report([text(PUB, Length(k)) for k in (5, 6, 7, 8)], info)
    second = report([text(ITALIAN, Length(k)) for k in (8, 7, 6, 5)], info)
    deltas = {d.name: d for d in compare(first, second)}
    assert deltas["control"].value == 0 and deltas["words"].value == 1
    third = report([text(PUB, Length(k)) for k in (5, 6, 7, 9)], info)
    with pytest.raises(UsageError, match="different targets: 1 of 4 are not in the second"):
        compare(first, third)


def test_texts_of_one_target_are_paired_by_seed(info: ModelInfo) -> None:
    texts = [text(ITALIAN + " a" * k, Length(6), seed=k) for k in range(5)]
    first, second = report(texts, info), report(texts[::-1], info)
    words = next(d for d in compare(first, second) if d.name == "words")
    assert words.value == 0 and words.bounds is None, "each differs from itself by nothing"
    unseeded = [dataclasses.replace(t, seed=None) for t in texts[::-1]]
    words = next(d for d in compare(first, report(unseeded, info)) if d.name == "words")
    assert words.bounds is not None, "paired in order"
    with pytest.raises(UsageError, match="5 texts in the first and 4"):
        compare(first, report(texts[:4], info))


def test_the_signature_pins_what_figures_depend_on(info: ModelInfo) -> None:
    found = report([text(PUB, Length(7))] * 2, info, By(references=[[PUB], [ITALIAN]]))
    for part in ("dlm:", f"model:{info.sha256[:8]}", "bleu:sacrebleu", "cider-d", "over 2 texts"):
        assert part in found.signature
    with pytest.raises(UsageError, match="1 references for 2 texts"):
        report([text(PUB)] * 2, info, By(references=[[PUB]]))
