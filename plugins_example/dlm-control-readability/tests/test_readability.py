"""The readability plugin: the formula, the head, and that guidance moves texts towards a level."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
import torch
from dlm_control_readability import LEVELS, Readability, count_syllables, level_of, reading_ease

import dlm_core as dlm
from dlm_core.testing import assert_control

NAMES = ("The Mill", "Blue Spice", "The Eagle", "Cotto")
EASY = ("{} is a cheap pub .", "{} is near the river .", "There is a pub . It is {} .")
HARD = (
    "{} is a moderately expensive family restaurant .",
    "{} provides Italian delicacies in a riverside area with average customer satisfaction .",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> dlm.Model:
    """A copy of the embedded model, with a head trained on forty texts."""
    path = tmp_path_factory.mktemp("bundle") / "e2e"
    shutil.copytree(dlm.ModelInfo.read("e2e").path, path)
    model = dlm.load(str(path))
    texts = [form.format(name) for form, name in itertools.product(EASY + HARD, NAMES)]
    examples = [dlm.Example(text) for text in texts * 2]
    figures = Readability.train(model, examples, model.info.head_path("readability"), steps=100)
    assert figures["accuracy t=0.0"] >= 0.75
    return model


@pytest.mark.parametrize(
    ("text", "ease"),
    [
        ("The cat sat on the mat .", 116.1),
        (
            "The Australian platypus is seemingly a hybrid of a mammal and reptilian creature .",
            37.5,
        ),
    ],
)
def test_published_reading_ease(text: str, ease: float) -> None:
    assert reading_ease(text) == pytest.approx(ease, abs=0.05)


@pytest.mark.parametrize(
    ("word", "syllables"),
    [("priced", 1), ("rated", 2), ("table", 2), ("place", 1), ("restaurant", 3), ("the", 1)],
)
def test_syllables(word: str, syllables: int) -> None:
    assert count_syllables(word) == syllables


@pytest.mark.parametrize("spec", Readability.examples)
def test_conformance(spec: str, model: dlm.Model) -> None:
    kinds = {"readability": Readability}
    assert_control(dlm.parse_spec(spec, kinds).spec, model)


def test_the_levels_are_all_there_is(model: dlm.Model) -> None:
    """p over the levels sums to 1, whatever is known of the text."""
    state = dlm.noised(model, ["The Mill is a pub .", "Cotto ."], torch.tensor([0.9, 0.2]))
    context = dlm.BuildContext(model)
    p = [Readability(level).build(context).log_prob(state).exp() for level in LEVELS]
    assert torch.allclose(sum(p, torch.zeros(2)), torch.ones(2), atol=1e-5)


def test_guidance_moves_the_reading_ease(model: dlm.Model) -> None:
    sampling = dlm.SamplingConfig(steps=10)
    easy, hard = (
        dlm.generate(model, 8.0 * Readability(level), n=24, sampling=sampling)
        for level in ("easy", "hard")
    )
    ease = [sum(reading_ease(r.text) for r in results) / 24 for results in (easy, hard)]
    assert ease[0] > ease[1] + 10
    assert all(r.satisfied == (level_of(reading_ease(r.text)) == "easy") for r in easy)


def test_without_a_head_the_command_that_trains_one_is_named() -> None:
    with pytest.raises(dlm.MissingError) as caught:
        dlm.generate("e2e", Readability("easy"))
    assert "dlm train control readability" in (caught.value.hint or "")


def test_texts_of_one_level_train_nothing(model: dlm.Model, tmp_path: Path) -> None:
    with pytest.raises(dlm.UsageError, match="all of one level"):
        Readability.train(model, [dlm.Example("The cat sat .")] * 4, tmp_path)


def test_a_level_is_one_of_three() -> None:
    with pytest.raises(dlm.SpecError, match="must be 'easy', 'plain' or 'hard'"):
        dlm.parse_spec("readability:simple", {"readability": Readability})
