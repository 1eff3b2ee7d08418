"""The same seeds give the same texts whatever torch is set to, and the caller's settings stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import torch

import dlm_core as dlm
from dlm_controls import Keyword, Length
from dlm_core.bundle import Model
from dlm_core.diffusion.surroundings import loading, usual_torch
from dlm_core.mixing import mix

PLUGINS = dlm.load_plugins(chosen=())
SPECS = ("semantic:food=Japanese", 'pos:"PROPN ..."', "span:0,1,NP", "not keyword:cheap")


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def default_device(device: str) -> Iterator[None]:
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


SURROUNDINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "inference_mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "float64": lambda: default_dtype(torch.float64),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "meta by default": lambda: default_device("meta"),
    "within meta": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
}


def made(model: Model, mode: str = "posterior") -> list[tuple[str, list[float | None]]]:
    results = dlm.generate(
        model,
        SPECS,
        2,
        sampling={"steps": 4},
        guidance={"mode": mode, "guidance_steps": 1},
        verify=False,
        plugins=PLUGINS,
    )
    return [(r.text, [c.log_prob for c in r.controls]) for r in results]


@pytest.fixture(scope="module")
def expected(embedded_model: Model) -> dict[str, Any]:
    return {mode: made(embedded_model, mode) for mode in ("posterior", "paper")}


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_the_same_texts_in_any_surroundings(
    name: str, embedded_model: Model, expected: dict[str, Any]
) -> None:
    with SURROUNDINGS[name]():
        loaded = dlm.load("e2e")
        assert made(loaded) == expected["posterior"]
        assert made(loaded, "paper") == expected["paper"]
        assert torch.is_inference_mode_enabled() == (name == "inference_mode")
        assert torch.is_grad_enabled() == (name not in ("no_grad", "inference_mode"))
        assert torch.is_autocast_enabled("cpu") == (name == "autocast")
        assert (torch.zeros(1).device.type == "meta") == ("meta" in name)
        changed = {"float64": torch.float64, "bfloat16": torch.bfloat16}
        assert torch.get_default_dtype() == changed.get(name, torch.float32)
    # what was loaded there is a model like any other
    assert made(loaded, "paper") == expected["paper"]
    assert not any(p.is_inference() for p in loaded.net.parameters())


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_heads_are_trained_on_the_same_states(name: str, tiny_model: Model) -> None:
    def run() -> tuple[list[float], list[float]]:
        state = dlm.noised(tiny_model, ["The Mill is a pub .", "The Eagle is cheap ."], 0.4)
        features = state.x_0_hat.mean(1)
        with usual_torch():
            head = torch.nn.Linear(features.shape[-1], 1)
            torch.nn.init.constant_(head.weight, 0.1)
            torch.nn.init.zeros_(head.bias)
        losses: list[float] = []
        dlm.fit(
            [head],
            lambda step: head(state.x_0_hat.mean(1)).square().mean(),
            3,
            lr=1e-2,
            on_step=lambda *now: losses.append(now[2]),
        )
        return losses, state.token_log_probs[0, 0].tolist()

    plain = run()
    with SURROUNDINGS[name]():
        assert run() == plain


def test_the_batches_leave_the_callers_settings_alone(tiny_model: Model) -> None:
    """Between two batches the caller is not inside dlm."""
    with default_dtype(torch.float64), torch.inference_mode():
        for _ in dlm.generate_batches(
            tiny_model, [dlm.Request(n=3)], batch_size=1, sampling={"steps": 2}, plugins=PLUGINS
        ):
            assert torch.zeros(1).dtype == torch.float64
            assert torch.is_inference_mode_enabled()


def test_nothing_draws_from_the_callers_generator(embedded_model: Model) -> None:
    torch.manual_seed(0)
    untouched = torch.rand(1)
    actions: list[Callable[[], Any]] = [
        lambda: dlm.load("e2e"),
        lambda: made(embedded_model),
        lambda: made(embedded_model, "paper"),
        lambda: mix(embedded_model, embedded_model, 0.5),
        lambda: dlm.noised(embedded_model, ["The Mill is cheap ."], 0.5).x_0_hat,
    ]
    for action in actions:
        torch.manual_seed(0)
        action()
        assert torch.equal(torch.rand(1), untouched)


def test_loads_in_threads_put_the_random_state_back() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()

    def load(_: int) -> None:
        with loading():
            torch.nn.Linear(50, 50)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(load, range(40)))
    assert torch.equal(torch.get_rng_state(), before)


def test_generating_in_threads_gives_the_same_texts(embedded_model: Model) -> None:
    def texts(seed: int) -> list[str]:
        asked = Keyword("pub") + Length(9)
        results = dlm.generate(
            embedded_model, asked, 2, seed, sampling={"steps": 4}, plugins=PLUGINS
        )
        return [r.text for r in results]

    alone = [texts(seed) for seed in range(6)]
    with default_dtype(torch.float64), ThreadPoolExecutor(4) as pool:
        assert list(pool.map(texts, range(6))) == alone
        assert torch.get_default_dtype() == torch.float64
