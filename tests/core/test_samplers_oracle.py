"""The samplers against diffusers' schedulers, in every parametrisation of a network."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dlm_core.config import ModelConfig, Parametrisation
from dlm_core.diffusion.model import DiffusionLM
from dlm_core.diffusion.samplers import ddim, dpmpp_2m
from dlm_core.diffusion.schedule import NoiseSchedule, ScheduleName

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

T, STEPS, SHAPE = 100, 20, (3, 5, 4)
LENGTHS = torch.tensor([5, 4, 5])
PARAMETRISATIONS = pytest.mark.parametrize("parametrisation", ["x_0", "eps", "mu"])
SCHEDULES = pytest.mark.parametrize("noise_schedule", ["sqrt", "cosine", "linear"])


def model(parametrisation: Parametrisation, noise_schedule: ScheduleName) -> DiffusionLM:
    """A random network in doubles."""
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=9, embedding_dim=4, max_len=5, train_steps=T, hidden=16, layers=1, heads=2,
        parametrisation=parametrisation, readout="vector", noise_schedule=noise_schedule,
        self_conditioning=False,
    )  # fmt: skip
    net = DiffusionLM(config).double().eval()
    with torch.no_grad():
        net.denoiser.outputs.weight.mul_(3.0)
    return net


def betas(schedule: NoiseSchedule) -> list[float]:
    """Of the T steps of training: beta_k = 1 - alpha_bar_k / alpha_bar_{k-1}."""
    k = torch.arange(1, T + 1, dtype=torch.float64) / T
    alpha_bar = schedule.alpha_bar(k)
    before = torch.cat([torch.ones(1, dtype=torch.float64), alpha_bar[:-1]])
    return (1 - alpha_bar / before).tolist()


def asked(net: DiffusionLM, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """What the network itself says at step k, and the noise that this stands for (§4.2, App. E)."""
    t = torch.full((len(x),), k / T, dtype=torch.float64)
    out = net.denoiser.denoise(x, t, LENGTHS, None)
    ab = float(net.schedule.alpha_bar(t)[0])
    kind = net.config.parametrisation
    if kind == "eps":
        return out, out
    x_0 = out
    if kind == "mu":  # the mean of q(x_{t-1} | x_t, x_0), solved for x_0
        before = float(net.schedule.alpha_bar(t - 1 / T)[0])
        beta = 1 - ab / before
        of_x_t = (1 - beta) ** 0.5 * (1 - before) / (1 - ab)
        x_0 = (out - of_x_t * x) * (1 - ab) / (before**0.5 * beta)
    return x_0, (x - ab**0.5 * x_0) / (1 - ab) ** 0.5


@torch.no_grad()
def by_diffusers(
    net: DiffusionLM, make: Callable[..., object], x: Tensor, noises: list[Tensor], eta: float
) -> Tensor:
    kind = "sample" if net.config.parametrisation == "x_0" else "epsilon"
    scheduler = make(
        num_train_timesteps=T,
        trained_betas=betas(net.schedule),
        prediction_type=kind,
        timestep_spacing="trailing",
    )
    # it would round the betas to floats
    scheduler.alphas_cumprod = net.schedule.alpha_bar(torch.arange(1, T + 1).double() / T)
    scheduler.set_timesteps(STEPS)
    for k, step in enumerate(scheduler.timesteps.tolist()):
        x_0, eps = asked(net, x, step + 1)
        said = x_0 if kind == "sample" else eps
        more = {"eta": eta, "variance_noise": noises[k]} if make is ddim_scheduler else {}
        x = scheduler.step(said, step, x, **more).prev_sample
    return x


def ddim_scheduler(**settings: object) -> DDIMScheduler:
    return DDIMScheduler(clip_sample=False, **settings)


def dpm_scheduler(**settings: object) -> DPMSolverMultistepScheduler:
    return DPMSolverMultistepScheduler(
        solver_order=2, algorithm_type="dpmsolver++", solver_type="midpoint", **settings
    )


def ours(net: DiffusionLM) -> tuple[Callable[[Tensor, Tensor], Tensor], Tensor]:
    """`denoise` as the samplers take it, and the times of the same grid."""

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        out = net.denoiser.denoise(x, t.double(), LENGTHS, None)
        return net._to_x_0(out, x, t.double())  # `predict` computes in single precision

    return denoise, torch.linspace(1, 1 / STEPS, STEPS, dtype=torch.float64)


def off(found: Tensor, expected: Tensor) -> float:
    """The relative error; a random network of kind mu leads far away from any data."""
    return float((found - expected).norm() / expected.norm())


@pytest.fixture(autouse=True)
def doubles() -> object:
    """Times and draws in doubles, so that only the formulas differ."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@SCHEDULES
@PARAMETRISATIONS
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@torch.no_grad()
def test_ddim(parametrisation: Parametrisation, noise_schedule: ScheduleName, eta: float) -> None:
    net = model(parametrisation, noise_schedule)
    noises = [torch.randn(SHAPE) for _ in range(STEPS)]
    x = torch.randn(SHAPE)
    denoise, times = ours(net)
    found = ddim(denoise, x, times, net.schedule, iter(noises).__next__, eta)
    expected = by_diffusers(net, ddim_scheduler, x, noises, eta)
    assert off(found, expected) < 1e-4


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers'
@SCHEDULES
@PARAMETRISATIONS
@torch.no_grad()
def test_dpm_solver(parametrisation: Parametrisation, noise_schedule: ScheduleName) -> None:
    net = model(parametrisation, noise_schedule)
    x = torch.randn(SHAPE)
    denoise, times = ours(net)
    found = dpmpp_2m(denoise, x, times, net.schedule)
    expected = by_diffusers(net, dpm_scheduler, x, [], 0.0)
    assert off(found, expected) < 1e-4
    first_order = ddim(denoise, x, times, net.schedule, lambda: x, 0.0)
    assert off(first_order, expected) > 10 * off(found, expected)
