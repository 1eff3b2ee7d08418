"""In bf16 the denoiser says nearly what it says in fp32, and controls hold all the same."""

from __future__ import annotations

import pytest
import torch

import dlm_core as dlm
from dlm_core.bundle import Model
from dlm_core.config import GuidanceConfig, SamplingConfig
from dlm_core.control.compose import as_controls
from dlm_core.generation.generate import usual_batch_size
from dlm_core.generation.prepare import Request, prepare
from dlm_core.generation.walk import Sample, Walk

PLUGINS = dlm.load_plugins(chosen=())
SPECS = ["semantic:food=Japanese", "length:12"]


def made(model: Model, precision: str) -> list[dlm.Result]:
    sampling = {"precision": precision, "steps": 10}
    return dlm.generate(model, SPECS, 4, sampling=sampling, plugins=PLUGINS)


def said(model: Model, precision: str) -> torch.Tensor:
    """log q of each word for the same x_t, (2, 9, V)."""
    prepared = prepare(model, Request(as_controls(None), 2), PLUGINS)
    sampling = SamplingConfig.model_validate({"precision": precision})
    batch = [Sample(0, seed, 9) for seed in range(2)]
    walk = Walk(model, [prepared], batch, sampling, GuidanceConfig(), None)
    with torch.no_grad():
        return walk._predict(walk._randn(), torch.full((2,), 0.5)).token_log_probs


def test_words_are_as_likely_within_the_rounding_of_bf16(embedded_model: Model) -> None:
    exact, rounded = said(embedded_model, "fp32"), said(embedded_model, "bf16")
    assert rounded.dtype == torch.float32
    apart = (exact.exp() - rounded.exp()).abs().sum(-1) / 2  # total variation, (2, 9)
    assert 0 < apart.max() < 0.1


def test_a_cpu_computes_in_fp32_by_itself(embedded_model: Model) -> None:
    auto, exact = made(embedded_model, "auto"), made(embedded_model, "fp32")
    assert [r.text for r in auto] == [r.text for r in exact]


def test_controls_hold_in_bf16(embedded_model: Model) -> None:
    assert all(result.satisfied for result in made(embedded_model, "bf16"))


@pytest.mark.parametrize(("device", "size"), [("cpu", 64), ("mps", 64), ("cuda:1", 256)])
def test_a_gpu_takes_larger_batches(device: str, size: int) -> None:
    assert usual_batch_size(device) == size
