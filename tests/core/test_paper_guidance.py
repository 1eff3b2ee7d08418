"""Gradient guidance (§5.1) against finite differences, torch.optim.Adagrad and closed forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dlm_core.config import GuidanceConfig
from dlm_core.control.protocol import FunctionControl
from dlm_core.control.state import State
from dlm_core.diffusion.prediction import Prediction
from dlm_core.errors import PluginError
from dlm_core.guidance.guard import Guard, GuidedRows
from dlm_core.guidance.paper import guide

B, L, D, V = 2, 3, 2, 4
LogProb = Callable[[State], Tensor]


def double(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make_state(x: Tensor) -> State:
    """A small double-precision denoiser: every word looks at its neighbours."""
    embedding = double(V, D, seed=1)

    def predict() -> Prediction:
        h = torch.tanh(x @ double(D, 8, seed=2) + x.roll(1, 1) @ double(D, 8, seed=3))
        log_q = (h @ double(8, V, seed=4)).log_softmax(-1)
        return Prediction(log_q.exp() @ embedding, log_q)

    batch = len(x)
    times = torch.full((batch,), 0.3)
    lengths = torch.full((batch,), x.shape[1])
    return State(x, times, times, lengths, embedding, predict, tuple(range(batch)))


def guard(function: LogProb, weight: float = 1.0) -> Guard:
    return Guard(FunctionControl(function), weight, "toy", "dlm-toy 1")


def word_control(state: State) -> Tensor:
    """Reads the rounding distribution and x_0_hat: differentiated through the denoiser."""
    return state.token_log_probs[:, 0, 2] - 0.3 * state.x_0_hat[:, 1].square().sum(-1)


def latent_control(state: State) -> Tensor:
    """Reads x_t itself, as the paper's classifiers do."""
    return -torch.nn.functional.softplus(state.x_t.sum((1, 2)))


MEAN, VAR = double(B, L, D, seed=7), torch.tensor([0.2, 0.5], dtype=torch.float64)[:, None, None]
GUARDS = (guard(word_control, 1.5), guard(latent_control, 0.7))
GROUPS = [GuidedRows(slice(0, B), GUARDS)]


def objective(x: Tensor, fluency: float) -> float:
    """sum_k w_k log p(c_k | x) + lambda log N(x; mean, var), over the batch."""
    state = make_state(x)
    value = sum((g.weight * g.control.log_prob(state)).sum() for g in GUARDS)
    normal = torch.distributions.Normal(MEAN, VAR.sqrt().expand_as(MEAN))
    return float(value + fluency * normal.log_prob(x).sum())


def finite_difference(x: Tensor, fluency: float) -> Tensor:
    gradient, h = torch.zeros_like(x), 1e-6
    for i in np.ndindex(*x.shape):
        up, down = x.clone(), x.clone()
        up[i] += h
        down[i] -= h
        gradient[i] = (objective(up, fluency) - objective(down, fluency)) / (2 * h)
    return gradient


@pytest.mark.parametrize("fluency", [0.0, 0.05])
@pytest.mark.parametrize("steps", [1, 4])
def test_adagrad_guidance_is_torchs_adagrad_on_finite_differences(
    fluency: float, steps: int
) -> None:
    x = double(B, L, D, seed=9)
    config = GuidanceConfig(mode="paper", guidance_steps=steps, guidance_lr=0.1, fluency=fluency)
    found = guide(x, MEAN, VAR, make_state, GROUPS, config)

    parameter = nn.Parameter(x.clone())
    optimizer = torch.optim.Adagrad([parameter], lr=0.1, eps=1e-10, maximize=True)
    for _ in range(steps):
        parameter.grad = finite_difference(parameter.detach(), fluency)
        optimizer.step()
    torch.testing.assert_close(found, parameter.detach(), atol=1e-6, rtol=1e-6)
    assert steps == 1 or (found - x).abs().max() > 0.1


def test_sign_guidance_moves_each_coordinate_by_the_rate() -> None:
    x = double(B, L, D, seed=9)
    config = GuidanceConfig(
        mode="paper", guidance_steps=1, guidance_lr=0.07, optimizer="sign", fluency=0.05
    )
    found = guide(x, MEAN, VAR, make_state, GROUPS, config)
    torch.testing.assert_close(found - x, 0.07 * finite_difference(x, 0.05).sign())


def test_no_steps_leave_the_draw_as_it_is() -> None:
    x = double(B, L, D, seed=9)
    config = GuidanceConfig(mode="paper", guidance_steps=0)
    assert torch.equal(guide(x, MEAN, VAR, make_state, GROUPS, config), x)


def test_guidance_raises_the_objective() -> None:
    x = double(B, L, D, seed=9)
    config = GuidanceConfig(mode="paper", guidance_steps=5, guidance_lr=0.02, fluency=0.05)
    assert objective(guide(x, MEAN, VAR, make_state, GROUPS, config), 0.05) > objective(x, 0.05)


def test_a_sample_moves_as_it_would_alone() -> None:
    x = double(B, L, D, seed=9)
    config = GuidanceConfig(mode="paper", guidance_steps=3)
    together = guide(x, MEAN, VAR, make_state, GROUPS, config)
    for i in range(B):
        row = slice(i, i + 1)
        alone = guide(
            x[row], MEAN[row], VAR[row], make_state, [GuidedRows(slice(0, 1), GUARDS)], config
        )
        torch.testing.assert_close(together[row], alone)


@pytest.mark.parametrize("optimizer", ["adagrad", "sign"])
def test_rows_without_controls_stay_where_they_are(optimizer: Any) -> None:
    x = double(B, L, D, seed=9)
    config = GuidanceConfig(mode="paper", optimizer=optimizer, fluency=0.01)
    found = guide(x, MEAN, VAR, make_state, [GuidedRows(slice(1, 2), GUARDS)], config)
    assert torch.equal(found[0], x[0])
    assert not torch.equal(found[1], x[1])


@pytest.mark.parametrize("fluency", [0.1, 1.0])
def test_many_steps_reach_the_mode_of_a_gaussian_posterior(fluency: float) -> None:
    # log p(c | x) = -(x - y)^2 / (2 r^2): the optimum is the precision-weighted mean
    target, r2 = 2.0, 0.5
    config = GuidanceConfig(mode="paper", guidance_steps=600, guidance_lr=0.3, fluency=fluency)
    control = guard(lambda s: -(s.x_t - target).square().sum((1, 2)) / (2 * r2))
    found = guide(MEAN, MEAN, VAR, make_state, [GuidedRows(slice(0, B), (control,))], config)
    expected = (fluency * MEAN / VAR + target / r2) / (fluency / VAR + 1 / r2)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_a_control_without_gradient_is_named() -> None:
    groups = [GuidedRows(slice(0, B), (guard(lambda s: latent_control(s).detach()),))]
    with pytest.raises(PluginError, match=r"'toy' from dlm-toy 1.*no gradient"):
        guide(MEAN, MEAN, VAR, make_state, groups, GuidanceConfig(mode="paper"))


def test_a_gradient_that_is_not_finite_is_named() -> None:
    groups = [GuidedRows(slice(0, B), (guard(lambda s: (s.x_t * 0).sum((1, 2)).abs().sqrt()),))]
    with pytest.raises(PluginError, match=r"not finite.*'toy' from dlm-toy 1"):
        guide(MEAN, MEAN, VAR, make_state, groups, GuidanceConfig(mode="paper"))
