"""A faulty control becomes a PluginError that names the control and its plugin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from dlm_core.control.state import State
from dlm_core.errors import MissingError, PluginError
from dlm_core.guidance.guard import Guard, GuidedRows
from dlm_core.guidance.hard import fixed_words

MakeState = Callable[..., State]
MakeGuard = Callable[..., Guard]
_PARAMETER = torch.nn.Parameter(torch.ones(()))


def _raise(state: State) -> Tensor:
    raise ZeroDivisionError("oh")


FAULTS: dict[str, tuple[Callable[[State], Any], str]] = {
    "one value a word": (lambda s: s.token_log_probs.sum(-1), r"shape \(2, 3\), expected \(2,\)"),
    "a scalar": (lambda s: s.token_log_probs.sum(), r"shape \(\), expected \(2,\)"),
    "a column": (lambda s: s.token_log_probs.sum((1, 2))[:, None], r"shape \(2, 1\)"),
    "NaN": (lambda s: s.token_log_probs.sum((1, 2)) * torch.nan, "NaN or infinity"),
    "infinity": (lambda s: s.token_log_probs.sum((1, 2)) * torch.inf, "NaN or infinity"),
    "a float": (lambda s: 0.5, "returned float, expected a tensor"),
    "nothing": (lambda s: None, "returned NoneType, expected a tensor"),
    "an exception": (_raise, "ZeroDivisionError: oh"),
    "a constant": (lambda s: torch.zeros(2), "no gradient"),
    "a detached value": (lambda s: s.token_log_probs.detach().sum((1, 2)), "no gradient"),
    "a gradient elsewhere": (lambda s: s.x_t.sum((1, 2)) * _PARAMETER, "no gradient"),
    "an infinite gradient": (
        lambda s: (s.token_log_probs * 0).sum((1, 2)).abs().sqrt(),
        "gradient is not finite",
    ),
}


@pytest.mark.parametrize("fault", list(FAULTS))
def test_a_fault_names_control_plugin_and_time(
    fault: str, make_state: MakeState, make_guard: MakeGuard
) -> None:
    function, message = FAULTS[fault]
    state = make_state(torch.randn(2, 3, 4).log_softmax(-1))
    with pytest.raises(PluginError, match=message) as caught:
        make_guard(function).tilt(state)
    assert "control 'toy:1' from dlm-control-toy 0.1" in caught.value.message
    assert "t=0.500" in caught.value.message
    assert caught.value.exit_code == 5


def test_an_exception_is_kept_as_the_cause(make_state: MakeState, make_guard: MakeGuard) -> None:
    with pytest.raises(PluginError) as caught:
        make_guard(_raise).log_prob(make_state(torch.zeros(2, 3, 4)))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_error_of_dlms_own_passes_through(make_state: MakeState, make_guard: MakeGuard) -> None:
    def missing(state: State) -> Tensor:
        raise MissingError("no such package")

    with pytest.raises(MissingError, match="no such package"):
        make_guard(missing).log_prob(make_state(torch.zeros(2, 3, 4)))


class _Tilts:
    def __init__(self, tilted: Any) -> None:
        self.tilted = tilted

    def log_prob(self, state: State) -> Tensor:
        return state.token_log_probs.sum((1, 2))

    def tilt(self, state: State) -> Tensor:
        return self.tilted  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("tilted", "message"),
    [
        (torch.zeros(2, 3), r"tilt returned shape \(2, 3\), expected \(2, 3, 4\)"),
        (torch.full((2, 3, 4), torch.nan), "tilt returned NaN"),
        ("words", "tilt returned str"),
    ],
)
def test_a_faulty_tilt_is_named(tilted: Any, message: str, make_state: MakeState) -> None:
    guard = Guard(_Tilts(tilted), 1.0, "toy:1", "dlm-control-toy 0.1")
    with pytest.raises(PluginError, match=message):
        guard.tilt(make_state(torch.zeros(2, 3, 4).log_softmax(-1)))


def test_a_tilt_may_forbid_words_and_comes_out_normalised(make_state: MakeState) -> None:
    tilted = torch.zeros(2, 3, 4)
    tilted[..., 0] = -torch.inf
    guard = Guard(_Tilts(tilted), 1.0, "toy:1", "")
    out = guard.tilt(make_state(torch.zeros(2, 3, 4).log_softmax(-1))).exp()
    expected = torch.tensor([0.0, 1 / 3, 1 / 3, 1 / 3]).expand(2, 3, 4)
    torch.testing.assert_close(out, expected)


class _Fixed:
    def __init__(self, ids: Any) -> None:
        self.ids = ids

    def log_prob(self, state: State) -> Tensor:
        return state.token_log_probs.sum((1, 2))

    def fixed(self, lengths: Tensor, width: int) -> Tensor:
        if isinstance(self.ids, Exception):
            raise self.ids
        return self.ids  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (torch.zeros(2, 4, dtype=torch.long), r"expected word ids \(2, 3\)"),
        (torch.zeros(2, 3), "torch.float32"),
        ([[1, 2, 3]] * 2, "list"),
        (IndexError("far"), "IndexError: far"),
    ],
)
def test_faulty_fixed_words_are_named(ids: Any, message: str) -> None:
    guard = Guard(_Fixed(ids), 1.0, "toy:1", "dlm-control-toy 0.1")
    with pytest.raises(PluginError, match=message) as caught:
        fixed_words([GuidedRows(slice(0, 2), (guard,))], torch.tensor([3, 3]), 3)
    assert "control 'toy:1' from dlm-control-toy 0.1" in caught.value.message


def test_fixed_words_of_two_controls_are_joined() -> None:
    a, b = torch.full((2, 3), -1), torch.full((2, 3), -1)
    a[:, 0], b[:, 2] = 5, 7
    guards = tuple(Guard(_Fixed(ids), 1.0, "toy", "") for ids in (a, b))
    found = fixed_words([GuidedRows(slice(1, 3), guards)], torch.tensor([3, 3, 3]), 3)
    assert found.tolist() == [[-1, -1, -1], [5, -1, 7], [5, -1, 7]]


def test_the_denoiser_is_asked_once_for_two_controls(make_state: MakeState) -> None:
    calls = []
    base = make_state(torch.zeros(2, 3, 4).log_softmax(-1))
    counting = State(
        base.x_t,
        base.t,
        base.alpha_bar,
        base.lengths,
        base.embedding,
        lambda: calls.append(1) or base.predict(),  # type: ignore[func-returns-value]
        base.seeds,
    )
    assert calls == []
    part = counting.rows(slice(0, 1))
    _ = part.x_0_hat, part.token_log_probs, counting.x_0_hat, counting.token_log_probs
    assert calls == [1]


def test_gumbels_are_the_same_at_every_step_and_of_each_seed(make_state: MakeState) -> None:
    state = make_state(torch.zeros(3, 3, 4))
    first, again = state.gumbel("a", 2, 5), state.gumbel("a", 2, 5)
    assert torch.equal(first, again) and first.shape == (3, 2, 5)
    assert torch.equal(state.rows(slice(1, 2)).gumbel("a", 2, 5), first[1:2])
    assert not torch.equal(state.gumbel("b", 2, 5), first)


def test_gumbel_argmax_draws_from_the_distribution() -> None:
    from scipy import stats

    from dlm_core.diffusion.noise import PerSampleNoise

    p = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    draws = (p.log() + PerSampleNoise(range(4000), "test").gumbel(4)).argmax(-1)
    assert stats.chisquare(torch.bincount(draws, minlength=4), p * 4000).pvalue > 1e-3
