"""Baselines on relaxed words against bigrams that are solved by hand or by enumeration."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.baselines.cold import energy, langevin
from benchmarks.baselines.delorean import backward, forward, start
from benchmarks.baselines.diffinity import acceptance
from benchmarks.baselines.soft import one_hot, right_log_prob
from benchmarks.baselines.writer_alone import guided
from dlm_controls import Pattern
from dlm_core.bundle import Model
from dlm_core.control.protocol import BuildContext
from dlm_core.control.state import State
from dlm_core.diffusion.noise import PerSampleNoise

P = torch.tensor([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3], [0.2, 0.1, 0.7]])
"""p(next | last)."""


def chain(words: Tensor) -> Tensor:
    """A bigram on distributions: the exact probability of the next word."""
    return (words @ P).clamp(min=1e-30).log()


def test_the_right_text_is_as_likely_as_enumeration_says() -> None:
    y = torch.softmax(torch.randn(1, 1, 3, generator=torch.Generator().manual_seed(0)), -1)
    found = right_log_prob(chain, one_hot([0], 3, 1), y, [2, 1])
    by_hand = sum(float(y[0, 0, w]) * float(P[w, 2]) for w in range(3)) * float(P[2, 1])
    assert float(found) == pytest.approx(math.log(by_hand), abs=1e-5)


@pytest.mark.parametrize("right", [0, 1, 2])
def test_delorean_backward_finds_the_word_that_leads_to_the_right(right: int) -> None:
    logits = torch.zeros(1, 1, 3)
    found = backward(chain, one_hot([0], 3, 1), logits, [right], 0.3, 60)
    assert int(found[0, 0].argmax()) == int(P[:, right].argmax())
    # one step is the gradient of log(y . P[:, z]) with respect to the logits, of length rate
    y, r = torch.full((3,), 1 / 3), P[:, right]
    g = y * (r - y @ r) / (y @ r)
    step = backward(chain, one_hot([0], 3, 1), logits, [right], 0.3, 1)[0, 0]
    assert torch.allclose(step, 0.3 * g / g.norm(), atol=1e-5)


def test_delorean_forward_mixes_with_the_models_own_words() -> None:
    left = one_hot([0], 3, 1)
    own = start(chain, left, 2)
    assert torch.allclose(own[0, 0], P[0].log(), atol=1e-5)
    assert torch.allclose(own[0, 1], (P[0] @ P).log(), atol=1e-5)
    kept = torch.randn(1, 2, 3)
    assert torch.allclose(forward(chain, left, kept, 0.0), kept)
    half = forward(chain, left, kept, 0.5)[0, 0]
    assert torch.allclose(half, (P[0].log() + kept[0, 0]) / 2, atol=1e-5)


@pytest.mark.parametrize("right", [[], [1], [2, 2]])
def test_cold_finds_the_least_energy_on_a_grid(right: list[int]) -> None:
    left = one_hot([1], 3, 1)
    still = PerSampleNoise([0])
    found = langevin(
        lambda y: energy(chain, left, y, right), torch.zeros(1, 1, 3), 800, 0.02, still, (0.0,)
    )
    grid = [
        torch.tensor([[[a, b, 100 - a - b]]]) / 100
        for a, b in product(range(1, 99), repeat=2)
        if a + b < 100
    ]
    best = min(grid, key=lambda y: float(energy(chain, left, y.log(), right)))
    assert torch.allclose(F.softmax(found, -1), best, atol=0.015)
    if not right:  # fluency alone: the distribution of the LM itself
        assert torch.allclose(F.softmax(found, -1)[0, 0], P[1], atol=1e-3)


def test_langevin_noise_is_a_texts_own() -> None:
    def flat(y: Tensor) -> Tensor:
        return y.sum((1, 2)) * 0

    both = langevin(flat, torch.zeros(2, 2, 3), 5, 0.1, PerSampleNoise([3, 4]))
    one = langevin(flat, torch.zeros(1, 2, 3), 5, 0.1, PerSampleNoise([4]))
    assert torch.equal(both[1:], one) and bool(one.abs().sum() > 0)


def test_diffinitys_gradient_is_that_of_the_enumerated_acceptance(
    make_model: Callable[..., Model], make_state: Callable[..., State]
) -> None:
    model = make_model()
    pattern = Pattern("The * (cheap|near)? ...")
    control = acceptance(pattern.automaton, BuildContext(model))
    words = ("The", "cheap", "near", "pub")
    ids = [model.vocab.id(w) for w in words]
    base = torch.full((1, 3, len(model.vocab)), -40.0, dtype=torch.float64)
    free = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def log_q(logits: Tensor) -> Tensor:
        return base.index_copy(2, torch.tensor(ids), F.log_softmax(logits, -1)[None])

    def accepted(logits: Tensor) -> float:
        q = F.softmax(logits, -1)
        total = 0.0
        for text in product(range(4), repeat=3):
            if pattern.verify(" ".join(words[k] for k in text)).satisfied:
                total += float(q[0, text[0]] * q[1, text[1]] * q[2, text[2]])
        return math.log(total)

    leaf = free.clone().requires_grad_()
    value = control.log_prob(make_state(log_q(leaf)))
    assert float(value.detach()) == pytest.approx(accepted(free), abs=1e-9)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    for place, word in product(range(3), range(4)):
        nudge = torch.zeros_like(free)
        nudge[place, word] = 1e-5
        finite = (accepted(free + nudge) - accepted(free - nudge)) / 2e-5
        assert float(gradient[place, word]) == pytest.approx(finite, abs=1e-6)


def test_classifier_free_guidance_by_hand() -> None:
    told, free = torch.tensor([0.6, 0.3, 0.1]), torch.tensor([0.3, 0.3, 0.4])
    assert torch.allclose(guided(told.log(), free.log(), 0.0).exp(), told, atol=1e-6)
    expected = told**3 / free**2
    found = guided(told.log(), free.log(), 2.0).exp()
    assert torch.allclose(found, expected / expected.sum(), atol=1e-6)
