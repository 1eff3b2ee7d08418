"""The keyword plugin: grammar, refusals, verdicts, and that the words do appear."""

from __future__ import annotations

import math

import pytest
import torch
from dlm_control_keyword import Keyword

import dlm_core as dlm
from dlm_core.testing import assert_control


@pytest.fixture(scope="module")
def model() -> dlm.Model:
    return dlm.load("e2e")


@pytest.mark.parametrize("spec", Keyword.examples)
def test_conformance(spec: str) -> None:
    assert_control(spec)


@pytest.mark.parametrize("body", ["", "sushi,", "coffee shop", "sushi,,wine"])
def test_what_is_no_word_is_refused(body: str) -> None:
    with pytest.raises(dlm.SpecError, match=r"is not one word|is missing"):
        dlm.parse_spec(f"keyword:{body}", {"keyword": Keyword})


def test_unknown_word_gets_the_nearest_one(model: dlm.Model) -> None:
    with pytest.raises(dlm.SpecError) as caught:
        Keyword("wine,shushi").check(model.info)
    assert caught.value.hint == "did you mean 'sushi'?"
    assert caught.value.message.endswith("\n  wine,shushi\n       ^^^^^^")


def test_special_entries_are_no_words(model: dlm.Model) -> None:
    with pytest.raises(dlm.SpecError, match="does not know the word 'PAD'"):
        Keyword("PAD").check(model.info)


def test_words_need_room(model: dlm.Model) -> None:
    assert Keyword("sushi,wine,sushi").lengths(model.info) == dlm.Lengths(2, None)


def test_verdict() -> None:
    spec = Keyword("sushi,wine")
    assert spec.verify("sushi and wine .") == dlm.Verdict(True, "", 1.0)
    assert spec.verify("Sushi and wine .") == dlm.Verdict(False, "missing: sushi", 0.5)


def test_log_prob_is_that_of_appearing_at_least_once(model: dlm.Model) -> None:
    """q = 0.5 and 0.2 at two places: p = 1 - 0.5 * 0.8; what lies after the end is no place."""
    vocab = model.vocab
    q = torch.full((1, 3, len(vocab)), 1e-9)
    q[0, :, vocab.id("sushi")] = torch.tensor([0.5, 0.2, 0.9])
    state = dlm.State(
        torch.zeros(1, 3, model.info.config.embedding_dim),
        torch.ones(1),
        torch.ones(1),
        torch.tensor([2]),
        model.net.embedding_matrix,
        lambda: None,  # type: ignore[arg-type, return-value]
        (0,),
    ).with_log_probs(q.log())
    control = Keyword("sushi").build(dlm.BuildContext(model))
    assert control.log_prob(state).item() == pytest.approx(math.log(1 - 0.5 * 0.8), abs=1e-5)


@pytest.mark.parametrize("spec", [Keyword("sushi"), Keyword("sushi,wine"), Keyword("cheese")])
def test_the_words_appear(model: dlm.Model, spec: Keyword) -> None:
    results = dlm.generate(model, spec, n=8, sampling=dlm.SamplingConfig(steps=20))
    assert [r.text for r in results if not r.satisfied] == []
    assert len({r.text for r in results}) == 8
