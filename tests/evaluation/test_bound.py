"""The variational bound against exact likelihoods, in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from dlm_core.bundle import Model
from dlm_core.config import ModelConfig
from dlm_core.diffusion.bound import (
    KnownNoise,
    bound,
    gaussian_nats,
    prior_kl,
    step_kl,
    step_probabilities,
    step_times,
)
from dlm_core.diffusion.model import DiffusionLM
from dlm_core.diffusion.prediction import Prediction
from dlm_core.diffusion.schedule import NoiseSchedule, ScheduleName
from dlm_core.evaluation.nll import likelihood

DOUBLE = torch.float64


def gaussian_bound(schedule: NoiseSchedule, std: float, x_0: Tensor, exact: bool) -> Tensor:
    """Every term of eq. 1 for data N(0, std^2) and their E[x_0 | x_t]; a mean over rows.

    `exact` gives p(x_s | x_t) the variance of x_0 given x_t; the paper's has the posterior's.
    """
    generator = torch.Generator().manual_seed(0)
    mask, zero = torch.ones(x_0.shape[:2], dtype=DOUBLE), torch.zeros((), dtype=DOUBLE)

    def estimate(t: Tensor) -> tuple[Tensor, Tensor]:
        ab = schedule.alpha_bar(t)[:, None, None]
        x_t = schedule.q_sample(x_0, t, torch.randn(x_0.shape, dtype=DOUBLE, generator=generator))
        # in closed form: the mean and variance of a Gaussian given a noisy look at it
        precision = 1 / std**2 + ab / (1 - ab)
        known = KnownNoise.at(ab, std)
        mean = ab.sqrt() / (1 - ab) * x_t / precision
        assert torch.allclose(known.estimate(zero, x_t, ab), mean)
        assert torch.allclose(known.var, 1 / precision)
        return mean, (1 / precision)[:, 0, 0]

    draws = 400
    uniform = torch.rand(len(x_0), draws, generator=generator)
    total = prior_kl(schedule, x_0, mask)
    for times in step_times(schedule, uniform):
        mean, var = estimate(times.t)
        at = times.t, times.s
        total = total + times.weight * step_kl(schedule, x_0, mean, at, mask, var if exact else 0.0)
    first = torch.full((len(x_0),), 1 / schedule.train_steps, dtype=DOUBLE)
    mean, var = estimate(first)
    return (total + gaussian_nats(x_0, mean, float(var[0]), mask)).mean()


@pytest.mark.parametrize("name", ["sqrt", "cosine", "linear"])
def test_linear_gaussian_data_have_their_likelihood(name: ScheduleName) -> None:
    """With p as exact as the data allow at any number of steps; with the paper's at enough."""
    std, shape = 2.0, (64, 4, 8)
    x_0 = std * torch.randn(shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
    likelihood = float(-Normal(0.0, std).log_prob(x_0).sum((1, 2)).mean())
    for steps in (50, 2000):
        bound_ = float(gaussian_bound(NoiseSchedule(name, steps), std, x_0, exact=True))
        assert bound_ == pytest.approx(likelihood, rel=0.01)
    few, many = (
        float(gaussian_bound(NoiseSchedule(name, steps), std, x_0, exact=False))
        for steps in (200, 100_000)
    )
    assert few > 1.03 * likelihood, "a bound lies above"
    if name != "linear":  # log SNR falls by log 2 at its first step, however many there are
        assert many == pytest.approx(likelihood, rel=0.01)


def test_a_step_is_the_kl_of_its_two_gaussians() -> None:
    schedule = NoiseSchedule("sqrt", 100)
    generator = torch.Generator().manual_seed(2)
    x_0, x_0_hat, x_t = torch.randn(3, 2, 5, 4, dtype=DOUBLE, generator=generator)
    t = torch.tensor([0.4, 0.9], dtype=DOUBLE)
    s = t - 0.01
    p, q = (schedule.q_posterior(x, x_t, t, s) for x in (x_0_hat, x_0))
    kl = kl_divergence(Normal(q.mean, q.var.sqrt()), Normal(p.mean, p.var.sqrt()))
    mask = torch.ones(2, 5, dtype=DOUBLE)
    mask[0, 3:] = 0
    expected = (kl.sum(-1) * mask).sum(-1)
    assert torch.allclose(step_kl(schedule, x_0, x_0_hat, (t, s), mask), expected, rtol=1e-9)
    spare = torch.tensor([0.3, 0.02], dtype=DOUBLE)
    a, _, _ = schedule.posterior_coefficients(t, s)
    wide = (p.var + (a.square() * spare)[:, None, None]).sqrt()
    kl = kl_divergence(Normal(q.mean, q.var.sqrt()), Normal(p.mean, wide))
    expected = (kl.sum(-1) * mask).sum(-1)
    found = step_kl(schedule, x_0, x_0_hat, (t, s), mask, spare)
    assert torch.allclose(found, expected, rtol=1e-9)
    alpha_bar = schedule.alpha_bar(torch.ones((), dtype=DOUBLE))
    end = Normal(alpha_bar.sqrt() * x_0, (1 - alpha_bar).sqrt())
    pure = kl_divergence(end, Normal(torch.zeros_like(x_0), 1.0)).sum(-1)
    assert torch.allclose(prior_kl(schedule, x_0, mask), (pure * mask).sum(-1), rtol=1e-6)


@pytest.mark.parametrize("name", ["sqrt", "cosine", "linear"])
def test_drawn_steps_add_up_to_all_on_average(name: ScheduleName) -> None:
    """Of any function of k; cosine's first steps, which its clamp makes alike, are never drawn."""
    schedule = NoiseSchedule(name, 200)
    p = step_probabilities(schedule)
    uniform = torch.rand(4000, 8, generator=torch.Generator().manual_seed(3))
    drawn = step_times(schedule, uniform)
    t = torch.stack([times.t for times in drawn], 1)
    weight = torch.stack([times.weight for times in drawn], 1)
    k = (t * 200).round().long()
    counts = torch.bincount(k.flatten() - 2, minlength=199) / k.numel()
    assert torch.allclose(counts.double(), p, atol=0.005)
    value = torch.log(torch.arange(2, 201, dtype=DOUBLE)) * p  # any g(k); p keeps it of one order
    estimate = (weight * value[k - 2]).sum(1)
    assert float(estimate.mean()) == pytest.approx(float(value.sum()), rel=0.01)


class ExactNet(DiffusionLM):
    """One position, words of known probability, and their exact posterior given x_t."""

    log_prior: Tensor

    def predict(self, x_t, t, lengths, x_0_prev=None, shown=None):  # type: ignore[no-untyped-def]
        ab = self.schedule.alpha_bar(t)[:, None, None]
        var = ab * self.config.sigma_0**2 + 1 - ab
        words = self.embedding_matrix
        distance = (x_t[:, :, None] - ab[..., None].sqrt() * words).square().sum(-1)
        log_probs = (self.log_prior - distance / (2 * var)).log_softmax(-1)
        return Prediction(log_probs.exp() @ words, log_probs)


def test_words_with_an_exact_denoiser_have_their_entropy() -> None:
    """The noise of q(x_0 | w) costs nothing: what L_{t-1} pay for it L_0 gives back."""
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=8, embedding_dim=16, max_len=3, train_steps=2000, sigma_0=0.1,
        hidden=8, layers=1, heads=1, self_conditioning=False,
    )  # fmt: skip
    net = ExactNet(config)
    probabilities = torch.tensor([0.4, 0.2, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05])
    net.log_prior = probabilities.log()
    count = 40_000
    generator = torch.Generator().manual_seed(1)
    words = torch.multinomial(probabilities, count, True, generator=generator)
    found = bound(
        net,
        words[:, None],
        torch.ones(count, dtype=torch.long),
        lambda: torch.randn(count, 1, 16, generator=generator),
        torch.rand(count, 32, generator=generator),
    )
    above = found.total + net.log_prior[words]
    assert float(above.std()) / count**0.5 < 0.015, "draws enough to tell"
    assert float(above.mean()) == pytest.approx(0, abs=0.045)
    assert float(found.embedding.mean()) < -2, "L_0 gives back"
    assert float(found.steps.sum(-1).mean()) > 4


def test_a_texts_bound_does_not_depend_on_the_others(
    tiny_model: Model, texts: tuple[str, ...]
) -> None:
    all_of_them = likelihood(tiny_model, texts, draws=4)
    alone = likelihood(tiny_model, texts[:1], draws=4)
    rows = all_of_them.figures[0].rows
    assert rows is not None
    assert alone.nll == pytest.approx(rows[0, 0] / rows[0, 1], rel=1e-4)
    parts = {figure.name: figure.value for figure in all_of_them.figures}
    assert parts["nll"] == pytest.approx(sum(parts.values()) - parts["nll"])
    assert sum(nats for *_, nats in all_of_them.by_time) == pytest.approx(parts["steps"])
    assert all_of_them.tokens == sum(len(text.split()) + 1 for text in texts)


def test_padded_models_pay_for_their_padding_and_no_length(
    padded_model: Model, texts: tuple[str, ...]
) -> None:
    found = likelihood(padded_model, [*texts, "too " * 99, ""], draws=2)
    assert "length" not in {figure.name for figure in found.figures}
    assert found.left_out == 2 and found.texts == len(texts)
    assert math.isfinite(found.nll)
