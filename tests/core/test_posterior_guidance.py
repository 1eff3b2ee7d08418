"""Posterior guidance against brute-force enumeration, and toys whose p(x | c) is known."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from dlm_core.bundle import Model
from dlm_core.config import SamplingConfig
from dlm_core.control.compose import ControlSpec
from dlm_core.control.probability import log_any
from dlm_core.control.protocol import FunctionControl
from dlm_core.control.state import State
from dlm_core.control.verdict import Verdict
from dlm_core.diffusion.prediction import Prediction
from dlm_core.diffusion.samplers import ancestral
from dlm_core.diffusion.schedule import NoiseSchedule
from dlm_core.generation.generate import generate
from dlm_core.generation.prepare import Request
from dlm_core.guidance.guard import Guard, GuidedRows
from dlm_core.guidance.posterior import tilt

V, L = 4, 3
SEQUENCES = list(itertools.product(range(V), repeat=L))
Words = tuple[int, ...]


def some_q(seed: int, batch: int = 2, length: int = L, words: int = V) -> Tensor:
    logits = torch.randn(
        batch, length, words, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return (2 * logits).log_softmax(-1)


def enumerated(f: Callable[[Words], float]) -> Callable[[State], Tensor]:
    """log p(c) = log sum over all sequences of f(sequence) prod_i q_i(word_i)."""
    table = torch.tensor([f(w) for w in SEQUENCES], dtype=torch.float64)

    def log_prob(state: State) -> Tensor:
        q = state.token_log_probs.exp()
        products = [q[:, 0, a] * q[:, 1, b] * q[:, 2, c] for a, b, c in SEQUENCES]
        return (torch.stack(products, -1) @ table).log()

    return log_prob


def marginals(log_q: Tensor, f: Callable[[Words], float]) -> np.ndarray[Any, Any]:
    """p(w_i = w | c) by the definition, (B, L, V)."""
    q = log_q.exp().numpy()
    out = np.zeros_like(q)
    for b in range(len(q)):
        for words in SEQUENCES:
            p = f(words) * np.prod([q[b, i, w] for i, w in enumerate(words)])
            for i, w in enumerate(words):
                out[b, i, w] += p
        out[b] /= out[b].sum(-1, keepdims=True)
    return out


EVENTS: dict[str, Callable[[Words], float]] = {
    "a word occurs": lambda w: float(2 in w),
    "two words occur": lambda w: float(1 in w and 3 in w),
    "a word occurs once": lambda w: float(w.count(0) == 1),
    "a pattern": lambda w: float(w[0] == 1 and w[2] in (0, 3)),
    "words in order": lambda w: float((w[0], w[1]) == (1, 2) or (w[1], w[2]) == (1, 2)),
    "a soft label": lambda w: [0.9, 0.2, 0.05, 0.6][w[1]],
    "all alike": lambda w: float(len(set(w)) == 1),
}


@pytest.mark.parametrize("event", list(EVENTS))
def test_the_tilt_gives_the_exact_posterior_marginals(
    event: str, make_state: Callable[..., State], make_guard: Callable[..., Guard]
) -> None:
    for seed in range(3):
        log_q = some_q(seed)
        found = make_guard(enumerated(EVENTS[event])).tilt(make_state(log_q))
        expected = marginals(log_q, EVENTS[event])
        np.testing.assert_allclose(found.exp().numpy(), expected, atol=1e-9)


@given(seed=st.integers(0, 10_000), f=st.lists(st.floats(0.0, 1.0), min_size=64, max_size=64))
def test_the_tilt_is_exact_for_any_soft_event(
    seed: int,
    f: list[float],
    make_state: Callable[..., State],
    make_guard: Callable[..., Guard],
) -> None:
    values = dict(zip(SEQUENCES, [v + 1e-3 for v in f], strict=True))
    log_q = some_q(seed)
    found = make_guard(enumerated(values.__getitem__)).tilt(make_state(log_q))
    np.testing.assert_allclose(found.exp().numpy(), marginals(log_q, values.__getitem__), atol=1e-9)


def test_log_any_is_the_probability_that_a_word_occurs(make_state: Callable[..., State]) -> None:
    log_q = some_q(7)
    expected = enumerated(EVENTS["a word occurs"])(make_state(log_q))
    torch.testing.assert_close(log_any(log_q[..., 2]), expected)


def test_log_any_of_rare_events_is_their_sum() -> None:
    logs = torch.tensor([[-40.0, -41.0, -39.5]], requires_grad=True)
    value = log_any(logs)
    torch.testing.assert_close(value, torch.logsumexp(logs, -1))
    (gradient,) = torch.autograd.grad(value.sum(), logs)
    torch.testing.assert_close(gradient, torch.softmax(logs, -1))


def test_a_control_that_is_not_multilinear_moves_towards_its_words_by_first_order(
    make_state: Callable[..., State], make_guard: Callable[..., Guard]
) -> None:
    # log p(c) = 2 log q_1(0): G = 2 / q - 2 at the word, -2 elsewhere; q' ~ q (1 + G), q exp(G)
    log_q = some_q(3)
    found = make_guard(lambda s: 2 * s.token_log_probs[:, 1, 0], multilinear=False).tilt(
        make_state(log_q)
    )
    q = log_q.exp()[:, 1]
    expected = q * torch.exp(torch.tensor(-2.0, dtype=torch.float64))
    expected[:, 0] = q[:, 0] * (1 + 2 / q[:, 0] - 2)
    torch.testing.assert_close(found.exp()[:, 1], expected / expected.sum(-1, keepdim=True))
    torch.testing.assert_close(found[:, [0, 2]], log_q[:, [0, 2]])


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 3.0])
def test_a_weight_is_the_power_of_the_likelihood_ratio(
    weight: float, make_state: Callable[..., State], make_guard: Callable[..., Guard]
) -> None:
    log_q = some_q(11)
    found = make_guard(enumerated(EVENTS["a soft label"]), weight).tilt(make_state(log_q)).exp()
    q = log_q.exp().numpy()
    ratio = marginals(log_q, EVENTS["a soft label"]) / q
    expected = q * ratio**weight
    expected /= expected.sum(-1, keepdims=True)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)


def test_position_controls_compose_to_the_product(
    make_state: Callable[..., State], make_guard: Callable[..., Guard]
) -> None:
    tables = [[0.9, 0.1, 0.5, 0.2], [0.3, 0.8, 0.4, 0.05]]
    guards = tuple(make_guard(enumerated(lambda w, t=t: t[w[1]]), scope="position") for t in tables)
    log_q = some_q(1)
    found = tilt(make_state(log_q), [GuidedRows(slice(0, 2), guards)])
    expected = log_q.exp().numpy()
    expected[:, 1] *= np.array(tables[0]) * np.array(tables[1])
    expected /= expected.sum(-1, keepdims=True)
    np.testing.assert_allclose(found.exp().numpy(), expected, atol=1e-9)


def test_position_controls_act_before_sentence_controls(
    make_state: Callable[..., State], make_guard: Callable[..., Guard]
) -> None:
    # "word 2 occurs", given that position 0 is word 1: exact only in this order
    sentence = make_guard(enumerated(EVENTS["a word occurs"]))
    position = make_guard(enumerated(lambda w: float(w[0] == 1)), scope="position")
    log_q = some_q(2)
    found = tilt(make_state(log_q), [GuidedRows(slice(0, 2), (sentence, position))])
    both = marginals(log_q, lambda w: float(w[0] == 1 and 2 in w))
    np.testing.assert_allclose(found.exp().numpy(), both, atol=1e-9)
    reverse = position.tilt(make_state(sentence.tilt(make_state(log_q))))
    assert np.abs(reverse.exp().numpy() - both).max() > 0.01


def test_each_group_tilts_its_own_rows_and_no_other(
    make_state: Callable[..., State], make_guard: Callable[..., Guard]
) -> None:
    log_q = some_q(4, batch=4)
    guard = make_guard(enumerated(EVENTS["a pattern"]))
    found = tilt(make_state(log_q), [GuidedRows(slice(1, 3), (guard,))])
    torch.testing.assert_close(found[[0, 3]], log_q[[0, 3]])
    np.testing.assert_allclose(
        found[1:3].exp().numpy(), marginals(log_q[1:3], EVENTS["a pattern"]), atol=1e-9
    )


class LabelSpec(ControlSpec):
    """p(label | word) of the first word; a toy with a known posterior."""

    kind = "label"
    table: tuple[float, ...]

    def build(self, context: Any) -> FunctionControl:
        p = torch.tensor(self.table)
        return FunctionControl(lambda s: (s.token_log_probs[:, 0].exp() @ p).log(), True)

    def verify(self, text: str) -> Verdict:
        return Verdict(None)


def test_guided_generation_draws_words_from_p_of_w_given_c(
    make_model: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One word, the exact denoiser of its known distribution, drawn and not maximised.

    p(w | x_t) tilted by p(c | w) is p(w | x_t, c), and drawing w, then x_s ~ q(x_s | x_t, w), is
    the exact reverse process of words from p(w | c), at any number of steps.
    """
    model = make_model(max_len=3, sigma_0=0.0, self_conditioning=False)
    net, n, words = model.net, 1500, len(model.vocab)
    net.length_counts.copy_(torch.tensor([0.0, 1.0, 0.0, 0.0]))
    rng = np.random.default_rng(0)
    prior = rng.dirichlet(np.ones(words - 4) * 0.7) + 1e-3
    prior = np.concatenate([np.zeros(4), prior / prior.sum()])
    likelihood = rng.uniform(0.02, 1.0, words) ** 2
    log_prior = torch.tensor(prior).float().log().clamp(min=-1e4)

    def exact(x_t: Tensor, t: Tensor, lengths: Tensor, previous: Tensor | None) -> Tensor:
        ab = net.schedule.alpha_bar(t)[:, None, None]
        distance = (x_t[:, :, None] - ab.sqrt()[..., None] * net.embedding_matrix).square().sum(-1)
        return log_prior - distance / (2 * (1 - ab))

    monkeypatch.setattr(net.denoiser, "denoise", exact)
    results = generate(
        model,
        LabelSpec(table=tuple(likelihood)),
        n=n,
        sampling=SamplingConfig(steps=8, temperature=1.0),
        batch_size=n,
        verify=False,
    )
    counts = np.bincount([model.vocab.id(r.tokenised) for r in results], minlength=words)[4:]
    posterior = (prior * likelihood)[4:]
    posterior /= posterior.sum()
    enough = posterior * n >= 5
    observed = [*counts[enough], counts[~enough].sum()]
    expected = np.array([*posterior[enough], posterior[~enough].sum()]) * n
    keep = expected > 0
    test = stats.chisquare(np.array(observed)[keep], expected[keep])
    assert test.pvalue > 1e-3
    against_prior = stats.chisquare(
        np.array([*counts[enough], counts[~enough].sum()])[keep],
        np.array([*prior[4:][enough], prior[4:][~enough].sum()])[keep] * n,
    )
    assert against_prior.pvalue < 1e-9  # the test can tell the two apart


def test_guided_sampling_couples_positions_as_the_posterior_does() -> None:
    """Two independent words, c = "word 0 occurs": p(w_1, w_2 | c) is not a product.

    The exact E[x_0 | x_t, c] in small steps samples it: the tilted marginals give just that mean.
    """
    schedule, n, d = NoiseSchedule("sqrt", 2000), 3000, 6
    generator = torch.Generator().manual_seed(0)
    embedding = (
        torch.nn.functional.normalize(torch.randn(3, d, generator=generator), dim=-1) * d**0.5
    )
    prior = torch.tensor([0.15, 0.5, 0.35])
    control = FunctionControl(lambda s: log_any(s.token_log_probs[..., 0]), True)
    group = GuidedRows(slice(0, n), (Guard(control, 1.0, "toy", ""),))
    log_q = torch.zeros(n, 2, 3)

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        nonlocal log_q
        ab = schedule.alpha_bar(t)[:, None, None]
        distance = (x_t[:, :, None] - ab.sqrt()[..., None] * embedding).square().sum(-1)
        log_q = (prior.log() - distance / (2 * (1 - ab))).log_softmax(-1).clamp(min=-40)
        lengths = torch.full((n,), 2)
        unguided = Prediction(log_q.exp() @ embedding, log_q)
        state = State(x_t, t, ab[:, 0, 0], lengths, embedding, lambda: unguided, tuple(range(n)))
        log_q = tilt(state, [group])
        return log_q.exp() @ embedding

    draw = lambda: torch.randn(n, 2, d, generator=generator)  # noqa: E731
    ancestral(denoise, draw(), schedule.timesteps(250), schedule, draw)
    found = log_q.argmax(-1)
    frequency = torch.bincount(found[:, 0] * 3 + found[:, 1], minlength=9) / n
    exact = torch.outer(prior, prior)
    exact[1:, 1:] = 0
    exact = (exact / exact.sum()).flatten()
    assert float((frequency - exact).abs().sum()) / 2 < 0.04
    product = torch.outer(exact.view(3, 3).sum(1), exact.view(3, 3).sum(0)).flatten()
    assert float((product - exact).abs().sum()) / 2 > 0.2  # far from independent marginals


def test_requests_are_prepared_in_order_of_their_rows(tiny_model: Model) -> None:
    controls: Sequence[Request] = [Request(n=2, seed=3), Request(n=1, seed=9)]
    from dlm_core.generation.generate import generate_batches

    batches = list(
        generate_batches(tiny_model, controls, sampling=SamplingConfig(steps=2), batch_size=2)
    )
    assert [(i, r.seed) for batch in batches for i, r in batch] == [(0, 3), (0, 4), (1, 9)]
