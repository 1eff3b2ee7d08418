"""The variational bound on -log p (eq. 1) by time step, and what words add to it (§4.1, App. E).

For x_t at times t = k/T, k = T, ..., 1, and the chain p(x_T) p(x_{T-1} | x_T) ... p(x_0 | x_1):

    L_T      KL(q(x_T | x_0) || N(0, I))
    L_{t-1}  KL(q(x_s | x_t, x_0) || p(x_s | x_t)), with s = t - 1/T
    L_0      log q(x_0 | w) - log p(x_0 | x_1)
    L_round  -log p(w | x_0)

p(x_s | x_t) is q(x_s | x_t, x_0) with x_0 ~ N(x_0_hat, spare I). Without spare its variance is that
of the posterior, as in App. E, and L_{t-1} = (SNR(s) - SNR(t)) / 2 |x_0 - x_0_hat|^2, where
SNR = alpha_bar / (1 - alpha_bar). The sum over k is estimated from some times a text, drawn evenly
over log SNR, where the terms differ least. All is in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dlm_core.diffusion.model import DiffusionLM
from dlm_core.diffusion.prediction import Prediction
from dlm_core.diffusion.schedule import NoiseSchedule

Estimate = Callable[[Tensor, Tensor], Tensor]
"""x_t (B, L, D), t (B,) -> x_0_hat (B, L, D)."""


@dataclass(frozen=True, eq=False)
class StepTimes:
    """Which steps k = 2..T are looked at, and how much each counts.

    Attributes:
        t, s: (B,) float64, with s = t - 1/T.
        weight: (B,), 1 / (draws p(k)): the weighted terms add up to the sum over k on average.
    """

    t: Tensor
    s: Tensor
    weight: Tensor


def step_probabilities(schedule: NoiseSchedule) -> Tensor:
    """p(k), k = 2..T, in proportion to the fall of log SNR from s to t: (T - 1,)."""
    k = torch.arange(1, schedule.train_steps + 1, dtype=torch.float64)
    alpha_bar = schedule.alpha_bar(k / schedule.train_steps)
    log_snr = torch.log(alpha_bar) - torch.log1p(-alpha_bar)
    fall = (log_snr[:-1] - log_snr[1:]).clamp(min=0.0)
    return fall / fall.sum()


def step_times(schedule: NoiseSchedule, uniform: Tensor) -> list[StepTimes]:
    """Times for each text, one from each of J equal strata of p(k).

    Args:
        schedule: of T steps.
        uniform: (B, J) in (0, 1), one a stratum.
    """
    steps, draws = schedule.train_steps, uniform.shape[1]
    p = step_probabilities(schedule)
    u = (torch.arange(draws, dtype=torch.float64) + uniform.double().cpu()) / draws
    place = torch.searchsorted(p.cumsum(0), u).clamp(max=len(p) - 1)  # (B, J)
    t = (place + 2).double() / steps
    weight = 1.0 / (draws * p[place])
    columns = zip(t.T, weight.T, strict=True)
    return [StepTimes(t_j, t_j - 1.0 / steps, w_j) for t_j, w_j in columns]


def prior_kl(schedule: NoiseSchedule, x_0: Tensor, mask: Tensor) -> Tensor:
    """L_T = KL(q(x_T | x_0) || N(0, I)), nats, summed over positions and D: (B,).

    x_0 is (B, L, D), mask (B, L), 1 at positions that exist.
    """
    alpha_bar = float(schedule.alpha_bar(torch.ones((), dtype=torch.float64)))
    var = 1.0 - alpha_bar
    kl = 0.5 * (var - 1.0 - math.log(var) + alpha_bar * x_0.square())
    return (kl.sum(-1) * mask).sum(-1)


def step_kl(
    schedule: NoiseSchedule,
    x_0: Tensor,
    x_0_hat: Tensor,
    times: tuple[Tensor, Tensor],
    mask: Tensor,
    spare: Tensor | float = 0.0,
) -> Tensor:
    """L_{t-1}, nats, summed over positions and D: (B,).

    With w = SNR(s) - SNR(t) and r = w spare it is, in each of the D,
    (log(1 + r) - r / (1 + r) + w (x_0 - x_0_hat)^2 / (1 + r)) / 2.

    Args:
        schedule: of alpha_bar.
        x_0, x_0_hat: (B, L, D).
        times: t and s, (B,) each, float64.
        mask: (B, L), 1 at positions that exist.
        spare: variance that p gives x_0 beside x_0_hat, (B,).
    """
    ab_t, ab_s = (schedule.alpha_bar(time) for time in times)
    w = ab_s / (1 - ab_s) - ab_t / (1 - ab_t)
    r = w * spare
    error = ((x_0 - x_0_hat).square().sum(-1) * mask).sum(-1)
    numbers = x_0.shape[-1] * mask.sum(-1)
    return 0.5 * (numbers * (torch.log1p(r) - r / (1 + r)) + w * error / (1 + r))


def gaussian_nats(x: Tensor, mean: Tensor, var: float, mask: Tensor) -> Tensor:
    """-log N(x; mean, var I), nats, summed over positions and D: (B,)."""
    nats = 0.5 * ((x - mean).square() / var + math.log(2 * math.pi * var))
    return (nats.sum(-1) * mask).sum(-1)


@dataclass(frozen=True)
class KnownNoise:
    """x_0 = EMB(w) + sigma_0 eps given x_t and the word: what is left unknown is Gaussian.

    Attributes:
        gain: of x_t - sqrt(alpha_bar) EMB(w) in the mean of x_0.
        var: of x_0.
    """

    gain: Tensor
    var: Tensor

    @classmethod
    def at(cls, alpha_bar: Tensor, sigma_0: float) -> KnownNoise:
        """For alpha_bar(t) of any shape."""
        var = alpha_bar * sigma_0**2 + 1 - alpha_bar  # of x_t given the word
        return cls(alpha_bar.sqrt() * sigma_0**2 / var, sigma_0**2 * (1 - alpha_bar) / var)

    def estimate(self, words: Tensor, x_t: Tensor, alpha_bar: Tensor) -> Tensor:
        """E[x_0 | x_t] where the mean word vector is `words`; all broadcast with (B, L, D)."""
        return words + self.gain * (x_t - alpha_bar.sqrt() * words)


@dataclass(frozen=True, eq=False)
class Bound:
    """The bound of some texts, nats, each summed over a text's positions: (B,) but for `steps`.

    Attributes:
        prior: L_T.
        steps: (B, J), L_{t-1} at the times that were drawn, weighted; their sum is the diffusion
            part of a text.
        times: (B, J), these times t.
        embedding: L_0.
        rounding: L_round.
    """

    prior: Tensor
    steps: Tensor
    times: Tensor
    embedding: Tensor
    rounding: Tensor

    @property
    def total(self) -> Tensor:
        """L_vlb^e2e, (B,)."""
        return self.prior + self.steps.sum(-1) + self.embedding + self.rounding


def mixture_nats(
    x_0: Tensor, x_t: Tensor, log_q: Tensor, embedding: Tensor, known: KnownNoise, alpha_bar: Tensor
) -> Tensor:
    """-log sum_w q(w) N(x_0; E[x_0 | x_t, w], var), nats at each position: (B, L).

    Args:
        x_0, x_t: (B, L, D).
        log_q: log-probabilities of the words given x_t, (B, L, V).
        embedding: (V, D).
        known: at t.
        alpha_bar: of t.
    """
    rest = x_0 - known.gain * x_t  # its mean is (1 - gain sqrt(alpha_bar)) EMB(w)
    means = (1 - known.gain * alpha_bar.sqrt()) * embedding
    square = rest.square().sum(-1, keepdim=True) - 2 * rest @ means.T + means.square().sum(-1)
    log_density = -0.5 * (square / known.var + x_0.shape[-1] * torch.log(2 * math.pi * known.var))
    return -torch.logsumexp(log_q + log_density, dim=-1)


@torch.no_grad()
def bound(
    net: DiffusionLM,
    tokens: Tensor,
    lengths: Tensor,
    noise: Callable[[], Tensor],
    uniform: Tensor,
    self_condition: bool = False,
) -> Bound:
    """L_vlb^e2e of texts (§4.1), one draw of x_0 and of each x_t.

    A net that reads words out estimates EMB(w), not x_0 with its noise. Given the word, what x_0
    has beside is a Gaussian that is known (`KnownNoise`): p takes its mean and its variance. At the
    last step, where one mean between two words would be far from both, p mixes these Gaussians by
    the net's own q(w | x_1). This is a choice of p, which keeps the bound one.

    Args:
        net: asked at t.
        tokens: (B, L).
        lengths: (B,).
        noise: gives (B, L, D) standard normals.
        uniform: (B, J), for `step_times`.
        self_condition: ask it once more with its own answer at that t: p stays a function of x_t.
    """
    schedule, sigma_0 = net.schedule, max(net.config.sigma_0, 1e-4)
    mask = (torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]).double()
    words = net.embed(tokens).double()
    x_0 = words + sigma_0 * noise().double()

    def predict(t: Tensor) -> tuple[Tensor, Prediction]:
        x_t = schedule.q_sample(x_0, t, noise().double())
        asked = x_t.float(), t.float(), lengths
        found = net.predict(*asked)
        return x_t, net.predict(*asked, found.x_0_hat) if self_condition else found

    drawn = step_times(schedule, uniform)
    steps = []
    for times in drawn:
        t, s, weight = (v.to(x_0.device) for v in (times.t, times.s, times.weight))
        x_t, found = predict(t)
        x_0_hat, spare = found.x_0_hat.double(), torch.zeros_like(t)
        if net.config.readout == "words":
            alpha_bar = schedule.alpha_bar(t)[:, None, None]
            known = KnownNoise.at(alpha_bar, sigma_0)
            x_0_hat, spare = known.estimate(x_0_hat, x_t, alpha_bar), known.var[:, 0, 0]
        steps.append(weight * step_kl(schedule, x_0, x_0_hat, (t, s), mask, spare))
    first = torch.full_like(lengths, 1.0 / schedule.train_steps, dtype=torch.float64)
    x_1, found = predict(first)
    alpha_bar = schedule.alpha_bar(first[0])
    vectors = net.embedding_matrix.double()
    log_q, known = found.token_log_probs.double(), KnownNoise.at(alpha_bar, sigma_0)
    embedding = (mixture_nats(x_0, x_1, log_q, vectors, known, alpha_bar) * mask).sum(-1)
    log_p = torch.log_softmax(net.rounding_logits(x_0.float()).double(), dim=-1)
    rounding = -(log_p.gather(-1, tokens[..., None])[..., 0] * mask).sum(-1)
    return Bound(
        prior_kl(schedule, x_0, mask),
        torch.stack(steps, dim=1),
        torch.stack([times.t for times in drawn], dim=1),
        embedding - gaussian_nats(x_0, words, sigma_0**2, mask),
        rounding,
    )
