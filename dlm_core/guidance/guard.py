"""A control in use: its weight, its name, and checks that turn a fault into a PluginError."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor

from dlm_core.control.compose import control_name
from dlm_core.control.protocol import (
    Control,
    SupportsFixed,
    SupportsLengths,
    SupportsRounding,
    SupportsTilt,
)
from dlm_core.control.state import LOG_FLOOR, State
from dlm_core.errors import PluginError, plugin_errors


@dataclass
class Guard:
    """A control in use: weight, name, and the checks that turn a fault into a PluginError."""

    control: Control
    weight: float
    label: str
    plugin: str

    def log_prob(self, state: State, needs_gradient: bool = False) -> Tensor:
        """`control.log_prob`, checked: shape (B,), finite, and differentiable if asked."""
        value = self._call(self.control.log_prob, state)
        self._check(value, (state.x_t.shape[0],), "log_prob", state)
        if needs_gradient and not value.requires_grad:
            self._fail("log_prob does not depend on the state: it has no gradient", state)
        return value

    def tilt(self, state: State) -> Tensor:
        """log q' given the control at its weight, (B, L, V), normalised."""
        log_q = state.token_log_probs
        if isinstance(self.control, SupportsTilt):
            tilted = self._call(self.control.tilt, state)
            self._check(tilted, tuple(log_q.shape), "tilt", state)
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
        if getattr(self.control, "multilinear", False):
            log_ratio = torch.log1p(ratio.clamp(min=-1 + 1e-12))
        else:
            log_ratio = torch.where(ratio > 0, torch.log1p(ratio.clamp(min=0)), ratio)
        return log_q + log_ratio

    def fixed(self, control: SupportsFixed, lengths: Tensor, width: int) -> Tensor:
        """`control.fixed`, checked: word ids of shape (B, width)."""
        with plugin_errors(self._name, "fixed"):
            ids = control.fixed(lengths, width)
        return self._checked_ids(ids, (len(lengths), width), "fixed")

    def round(self, control: SupportsRounding, log_q: Tensor, lengths: Tensor) -> Tensor:
        """`control.round`, checked: word ids of shape (B, L)."""
        with plugin_errors(self._name, "round"):
            ids = control.round(log_q, lengths)
        return self._checked_ids(ids, tuple(log_q.shape[:2]), "round")

    def length_log_ratios(self, control: SupportsLengths, count: int) -> Tensor:
        """`control.length_log_ratios` at its weight, checked, for n = 0 .. count - 1."""
        with plugin_errors(self._name, "length_log_ratios"):
            ratios = control.length_log_ratios()
        if not isinstance(ratios, Tensor) or ratios.dim() != 1 or len(ratios) < count:
            found = tuple(ratios.shape) if isinstance(ratios, Tensor) else type(ratios)
            raise PluginError(
                f"{self._name}: length_log_ratios returned {found}, expected ({count},)"
            )
        if bool(ratios.isnan().any()):
            raise PluginError(f"{self._name}: length_log_ratios returned NaN")
        return self.weight * ratios[:count]

    def _checked_ids(self, ids: object, shape: tuple[int, ...], what: str) -> Tensor:
        if not isinstance(ids, Tensor) or tuple(ids.shape) != shape or ids.is_floating_point():
            found = f"{ids.dtype} {tuple(ids.shape)}" if isinstance(ids, Tensor) else type(ids)
            raise PluginError(f"{self._name}: {what} returned {found}, expected word ids {shape}")
        return ids

    def _call(self, function: Callable[[State], Tensor], state: State) -> Tensor:
        with plugin_errors(self._name, f"t={float(state.t[0]):.3f}"):
            return function(state)

    def _check(self, value: object, shape: tuple[int, ...], what: str, state: State) -> None:
        if not isinstance(value, Tensor):
            self._fail(f"{what} returned {type(value).__name__}, expected a tensor", state)
        elif tuple(value.shape) != shape:
            self._fail(f"{what} returned shape {tuple(value.shape)}, expected {shape}", state)
        elif bool(value.isnan().any()) or (what == "log_prob" and not bool(value.isfinite().all())):
            self._fail(f"{what} returned NaN or infinity", state)

    def _fail(self, what: str, state: State) -> NoReturn:
        raise PluginError(f"{self._name} failed at t={float(state.t[0]):.3f}: {what}")

    @property
    def _name(self) -> str:
        return control_name(self.label, self.plugin)


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
            key=lambda g: getattr(g.control, "scope", "sentence") != "position",
        )
