"""`not SPEC`: log(1 - p) against enumeration and finite differences; its grammar and verdicts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dlm_controls import Length, Semantic
from dlm_controls.semantic.e2e.oracle import right_field
from dlm_core.bundle import Model, ModelInfo
from dlm_core.config import GuidanceConfig, SamplingConfig
from dlm_core.control.compose import Controls, Term
from dlm_core.control.parse import parse_spec
from dlm_core.control.probability import log1mexp, log_any
from dlm_core.control.protocol import Contrary, FunctionControl
from dlm_core.control.state import State
from dlm_core.control.verdict import Verdict
from dlm_core.errors import SpecError, UnsatisfiableError
from dlm_core.generation.generate import generate
from dlm_core.generation.prepare import Request, prepare
from dlm_core.guidance.guard import Guard
from dlm_core.plugins.loading import load_plugins

V, L = 4, 3
SEQUENCES = list(itertools.product(range(V), repeat=L))
KINDS = {"semantic": Semantic, "length": Length}
JAPANESE = "semantic:food=Japanese"


def some_q(seed: int) -> Tensor:
    draws = torch.randn(2, L, V, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (2 * draws).log_softmax(-1)


def contrary(function: Callable[[State], Tensor], weight: float = 1.0) -> Guard:
    return Guard(Contrary(FunctionControl(function, True)), weight, "not toy", "")


# -- numbers ----------------------------------------------------------------------------------


@given(st.floats(-700.0, -1e-7))
def test_log1mexp_agrees_with_high_precision(value: float) -> None:
    from decimal import Decimal, localcontext

    with localcontext() as context:
        context.prec = 400
        expected = float((1 - Decimal(value).exp()).ln())
    found = log1mexp(torch.tensor(value, dtype=torch.float64))
    assert float(found) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("value", [0.0, 1e-5, -1e-30, -1e-8, -0.3, -math.log(2), -5.0, -40.0, -1e4])
def test_log1mexp_and_its_gradient_are_finite_in_float32(value: float) -> None:
    log_p = torch.tensor(value, requires_grad=True)
    found = log1mexp(log_p)
    (gradient,) = torch.autograd.grad(found, log_p)
    assert bool(found.isfinite()) and bool(gradient.isfinite()) and float(found.detach()) <= 0


def test_the_gradient_is_that_of_finite_differences() -> None:
    values = torch.tensor([-1e-3, -0.2, -0.69, -0.7, -3.0, -20.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(log1mexp, values.requires_grad_())


def test_the_tilt_is_the_exact_posterior_of_the_contrary(
    make_state: Callable[..., State],
) -> None:
    for seed in range(4):
        log_q = some_q(seed)
        found = contrary(lambda s: log_any(s.token_log_probs[..., 2])).tilt(make_state(log_q))
        q, expected = log_q.exp().numpy(), np.zeros((2, L, V))
        for b, words in itertools.product(range(2), SEQUENCES):
            if 2 not in words:
                for i, w in enumerate(words):
                    expected[b, i, w] += math.prod(q[b, j, v] for j, v in enumerate(words))
        expected /= expected.sum(-1, keepdims=True)
        np.testing.assert_allclose(found.exp().numpy(), expected, atol=1e-9)


def test_its_log_prob_is_that_of_all_other_texts(make_state: Callable[..., State]) -> None:
    log_q = some_q(9)
    found = contrary(lambda s: log_any(s.token_log_probs[..., 2])).log_prob(make_state(log_q))
    q = log_q.exp().numpy()
    for b in range(2):
        others = [w for w in SEQUENCES if 2 not in w]
        p = sum(math.prod(q[b, i, v] for i, v in enumerate(w)) for w in others)
        assert float(found[b]) == pytest.approx(math.log(p), rel=1e-6)


def test_tilt_and_fixed_words_of_the_control_itself_do_not_apply(
    make_state: Callable[..., State],
) -> None:
    class Hard:
        def log_prob(self, state: State) -> Tensor:
            return log_any(state.token_log_probs[..., 2])

        def tilt(self, state: State) -> Tensor:
            raise AssertionError("asked for")

        fixed = tilt

    guard = Guard(Contrary(Hard()), 1.0, "not toy", "")
    assert not hasattr(guard.control, "fixed")
    state = make_state(some_q(1))
    assert bool((guard.tilt(state)[..., 2] < state.token_log_probs[..., 2]).all())


# -- grammar ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source", [f"not {JAPANESE}", f"not  {JAPANESE}@0.5", " not semantic:near=Burger King@2"]
)
def test_a_contrary_is_parsed_and_written_back(source: str) -> None:
    term = parse_spec(source, KINDS)
    assert term.negated and isinstance(term.spec, Semantic)
    again = parse_spec(str(term), KINDS)
    assert (again.spec, again.weight, again.negated) == (term.spec, term.weight, True)
    assert str(again) == str(term)


def test_in_python_a_tilde_makes_it_and_weights_keep_it() -> None:
    controls = 0.5 * ~Semantic(food="Japanese") + Length(12)
    assert str(controls) == f"not {JAPANESE}@0.5 + length:12"
    assert [term.negated for term in controls] == [True, False]


@pytest.mark.parametrize("make", [lambda: parse_spec("not length:12", KINDS), lambda: ~Length(12)])
def test_a_control_without_probability_has_no_contrary(make: Callable[[], Any]) -> None:
    with pytest.raises(SpecError, match=r"'length' has no contrary.*\n *not length:12") as caught:
        make()
    assert caught.value.exit_code == 2 and caught.value.hint


def test_errors_point_into_the_negated_spec() -> None:
    with pytest.raises(
        SpecError, match=r"unknown control 'semantics'\n  not semantics:f=1\n {6}\^"
    ):
        parse_spec("not semantics:f=1", KINDS)
    with pytest.raises(SpecError, match="unknown food 'Japanes'") as caught:
        parse_spec("not semantic:food=Japanes", KINDS).check(ModelInfo.read("e2e"))
    assert caught.value.hint == "did you mean 'Japanese'?"


def test_a_control_and_its_contrary_contradict(tiny_model: Model) -> None:
    controls = Semantic(food="Japanese") + ~Semantic(food="Japanese")
    with pytest.raises(UnsatisfiableError, match="contradict"):
        controls.check(tiny_model.info)
    assert (~Semantic(near="Burger King")).check(tiny_model.info).low == 1


def test_a_verdict_is_turned_round() -> None:
    verdict = ~Verdict(True, "why", 0.75, {"right_field": False})
    assert verdict == Verdict(False, "why", 0.25, {"right_field": True})
    assert (~Verdict(None, "no judge")).satisfied is None


# -- texts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["posterior", "paper", "both"])
def test_texts_without_it_are_made_and_judged(embedded_model: Model, mode: str) -> None:
    if "semantic" not in embedded_model.info.heads:
        pytest.skip("the embedded model has no semantic head")
    spec = Semantic(area="riverside")
    sampling = SamplingConfig(steps=10)
    (free, unasked), (held, asked) = (
        (sum("riverside" not in r.tokens for r in results), results)
        for results in (
            generate(
                embedded_model,
                controls,
                n=20,
                sampling=sampling,
                guidance=GuidanceConfig(mode=mode),  # type: ignore[arg-type]
            )
            for controls in (None, ~spec)
        )
    )
    assert free <= 17, "the model hardly says it unasked: choose another value"
    assert len(unasked) == 20 and held >= (18 if mode != "paper" else free)
    for result in asked:
        report = result.controls[0]
        assert report.spec == "not semantic:area=riverside"
        text = " ".join(result.tokens).casefold().split()
        said = "riverside" in text or right_field(text, "area", "riverside")  # `by the river`
        assert report.satisfied is not said
        assert report.log_prob is not None and report.log_prob <= 0
    assert "|c:not semantic:area=riverside|" in asked[0].signature


def test_it_is_prepared_beside_others(embedded_model: Model) -> None:
    if "semantic" not in embedded_model.info.heads:
        pytest.skip("the embedded model has no semantic head")
    controls = Controls((Term(Length(8)), Term(Semantic(food="Japanese"), negated=True)))
    guards = prepare(embedded_model, Request(controls), load_plugins()).guards
    assert isinstance(guards[1].control, Contrary) and not isinstance(guards[0].control, Contrary)
