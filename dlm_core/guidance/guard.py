"""A control in use: its weight, its name, and checks that turn a fault into a PluginError."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor

from dlm_core.calling import WrongReturnError, expect, plugin_errors
from dlm_core.control.probability import log1mexp
from dlm_core.control.protocol import (
    Contrary,
    Control,
    SupportsFaults,
    SupportsFixed,
    SupportsLengths,
    SupportsRounding,
    SupportsSpelling,
    SupportsTilt,
)
from dlm_core.control.state import LOG_FLOOR, State
from dlm_core.control.weight import control_name
from dlm_core.errors import PluginError

ABOVE_ONE = 1e-3
"""A log-probability may be so far above 0, by rounding."""


@dataclass
class Guard:
    """A control in use: weight, name, and the checks that turn a fault into a PluginError."""

    control: Control
    weight: float
    label: str
    plugin: str
    normalised: bool = False
    """exp(log_prob) is a probability, at most 1."""

    def log_prob(self, state: State, needs_gradient: bool = False) -> Tensor:
        """`control.log_prob`, checked: shape (B,), finite, and differentiable if asked."""
        value = self._call(self._log_prob, state)
        self._check(value, (state.x_t.shape[0],), "log_prob", state)
        if needs_gradient and not value.requires_grad:
            self._fail("log_prob does not depend on the state: it has no gradient", state)
        return value

    def _log_prob(self, state: State) -> Tensor:
        contrary = isinstance(self.control, Contrary)
        control = self.control.control if isinstance(self.control, Contrary) else self.control
        value = control.log_prob(state)
        if (
            (self.normalised or contrary)
            and isinstance(value, Tensor)
            and value.is_floating_point()
        ):
            highest = float(value.detach().max())
            if highest > ABOVE_ONE:
                what = f"log_prob returned {highest:.4f}, expected at most 0"
                self._fail(f"{what}: the control says it is normalised", state)
        return log1mexp(expect(value, Tensor, "a tensor")) if contrary else value

    def tilt(self, state: State) -> Tensor:
        """log q' given the control at its weight, (B, L, V), normalised."""
        log_q = state.token_log_probs
        if isinstance(self.control, SupportsTilt):
            tilted = self._call(self.control.tilt, state)
            if tilted is log_q:  # nothing to do
                return log_q
            self._check(tilted, tuple(log_q.shape), "tilt", state)
            tilted = tilted.to(log_q.device)
        else:
            tilted = self._tilt_by_gradient(state)
        if self.weight != 1.0:
            tilted = log_q + self.weight * (tilted.clamp(min=LOG_FLOOR) - log_q)
        return F.log_softmax(tilted.clamp(min=LOG_FLOOR), dim=-1)

    def _tilt_by_gradient(self, state: State) -> Tensor:
        """log q' from one backward pass through the control.

        With G_i(w) = d log p(c) / d logit_i(w) / q_i(w), p(c | w_i = w) / p(c) = 1 + G_i(w)
        exactly if p(c) is multilinear in q. Otherwise that is its first-order estimate, and where G
        is negative exp(G), which has the same slope, keeps the ratio positive.
        """
        log_q = state.token_log_probs.detach()
        with torch.enable_grad():
            logits = log_q.clone().requires_grad_()
            tilting = state.with_log_probs(F.log_softmax(logits, dim=-1))
            value = self.log_prob(tilting, needs_gradient=True)
            (gradient,) = torch.autograd.grad(value.sum(), logits, allow_unused=True)
        if gradient is None:
            self._fail("log_prob does not read token_log_probs or x_0_hat: no gradient", state)
        ratio = gradient / log_q.exp()
        if not bool(gradient.isfinite().all()):
            self._fail("its gradient is not finite", state)
        if self._told("multilinear", False):
            log_ratio = torch.log1p(ratio.clamp(min=-1 + 1e-12))
        else:
            log_ratio = torch.where(ratio > 0, torch.log1p(ratio.clamp(min=0)), ratio)
        return log_q + log_ratio

    def fixed(
        self, control: SupportsFixed, lengths: Tensor, width: int, allowed: Tensor | None = None
    ) -> Tensor:
        """`control.fixed`, checked: ids (B, width) of words that are `allowed` (V,), or -1."""
        with plugin_errors(self._name, "fixed"):
            ids = _ids(control.fixed(lengths, width), (len(lengths), width), lengths)
            if bool((ids < -1).any()):
                raise WrongReturnError(
                    f"the id {int(ids.min())}", "word ids, -1 where a place is free"
                )
            if allowed is not None:
                _refuse(ids >= len(allowed), ids, f"below {len(allowed)}")
                barred = (ids >= 0) & ~allowed[ids.clamp(min=0)]
                _refuse(barred, ids, "of a word: UNK, START, END and PAD are none")
        return ids

    def round(self, control: SupportsRounding, log_q: Tensor, lengths: Tensor) -> Tensor:
        """`control.round`, checked: word ids (B, L), none of them at -inf."""
        words = log_q.shape[-1]
        with plugin_errors(self._name, "round"):
            ids = _ids(control.round(log_q, lengths), tuple(log_q.shape[:2]), lengths)
            inside = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
            _refuse(inside & ((ids < 0) | (ids >= words)), ids, f"from 0 to {words - 1}")
            ids = ids.clamp(0, words - 1)  # what stands after a text does not count
            chosen = log_q.gather(-1, ids[..., None])[..., 0]
            _refuse(inside & (chosen == -torch.inf), ids, "of a word that may stand there")
        return ids

    def length_log_ratios(self, control: SupportsLengths, count: int) -> Tensor:
        """`control.length_log_ratios` at its weight, checked, for n = 0 .. count - 1."""
        with plugin_errors(self._name, "length_log_ratios"):
            ratios = expect(control.length_log_ratios(), Tensor, f"a tensor ({count},)")
            if ratios.dim() != 1 or len(ratios) < count:
                raise WrongReturnError(f"shape {tuple(ratios.shape)}", f"({count},)")
            if bool((ratios.isnan() | (ratios == torch.inf)).any()):
                raise WrongReturnError("NaN or infinity", "logarithms")
        ratios = ratios[:count]
        return torch.where(ratios.isinf(), ratios, self.weight * ratios)  # 0 * inf is no number

    def faults(self, words: Sequence[str]) -> int:
        """`control.faults`, checked."""
        assert isinstance(self.control, SupportsFaults)
        with plugin_errors(self._name, "faults"):
            return expect(self.control.faults(words), int, "how many")

    def respell(self, words: list[str]) -> list[str]:
        """`control.respell`, checked; as they are where it has none."""
        if not isinstance(self.control, SupportsSpelling):
            return words
        with plugin_errors(self._name, "respell"):
            found = expect(self.control.respell(words), list, "a list of words")
            if not all(isinstance(word, str) and word.split() == [word] for word in found):
                raise WrongReturnError(f"{found!r}"[:80], "words")
        return found

    @property
    def scope(self) -> object:
        """`position` of a control on single words."""
        return self._told("scope", "sentence")

    def _told(self, attribute: str, default: object) -> object:
        with plugin_errors(self._name, attribute):
            return getattr(self.control, attribute, default)

    def _call(self, function: Callable[[State], Tensor], state: State) -> Tensor:
        with plugin_errors(self._name, f"t={float(state.t[0]):.3f}"):
            return function(state)

    def _check(self, value: object, shape: tuple[int, ...], what: str, state: State) -> None:
        if not isinstance(value, Tensor):
            self._fail(f"{what} returned {type(value).__name__}, expected a tensor", state)
        elif tuple(value.shape) != shape:
            self._fail(f"{what} returned shape {tuple(value.shape)}, expected {shape}", state)
        elif not value.is_floating_point():
            self._fail(f"{what} returned {value.dtype}, expected floats", state)
        elif bool((value.isnan() | (value == torch.inf)).any()) or (
            what == "log_prob" and not bool(value.isfinite().all())
        ):
            self._fail(f"{what} returned NaN or infinity", state)

    def _fail(self, what: str, state: State) -> NoReturn:
        raise PluginError(f"{self._name} failed at t={float(state.t[0]):.3f}: {what}")

    @property
    def _name(self) -> str:
        return control_name(self.label, self.plugin)


def _ids(value: object, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Word ids, whole numbers of this shape, where `like` lies."""
    ids = expect(value, Tensor, f"word ids {shape}")
    if tuple(ids.shape) != shape or ids.dtype.is_floating_point or ids.dtype == torch.bool:
        raise WrongReturnError(f"{ids.dtype} {tuple(ids.shape)}", f"word ids {shape}")
    return ids.to(like.device, torch.long)


def _refuse(wrong: Tensor, ids: Tensor, expected: str) -> None:
    if bool(wrong.any()):
        raise WrongReturnError(f"the id {int(ids[wrong][0])}", f"ids {expected}")


@dataclass(frozen=True)
class GuidedRows:
    """The controls of one request and the rows of the batch they steer."""

    rows: slice
    guards: tuple[Guard, ...]
    joint: tuple[Guard, ...] | None = None
    """The guards, those that merge as one; `guards` if omitted."""

    def ordered(self) -> list[Guard]:
        """Controls on single words first: the others then see the words these leave possible."""
        return sorted(
            self.guards if self.joint is None else self.joint,
            key=lambda g: g.scope != "position",
        )
