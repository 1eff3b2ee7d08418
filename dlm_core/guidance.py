"""Steering: what a control sees (State), what it is asked (Control), how its answer moves a step.

Two modes, one protocol (`log_prob(state) -> (B,)`); `both` runs one after the other:

`posterior`
    The leaf is the rounding distribution q_i(w) of x_0_hat. For log p(c) multilinear in q, the
    exact posterior marginals are  p(w_i = w | c) = q_i(w) + d log p(c) / d logit_i(w),  so that
    one backward pass through the control alone, none through the denoiser, conditions the step.
`paper`
    The leaf is x_{t-1}: K Adagrad steps up  sum_k w_k log p(c_k | x_{t-1}) + lambda log p(x_{t-1} |
    x_t)  (§5.1), differentiated through whatever the control reads.

Shapes: B batch, L word positions, D word-vector width, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, NoReturn, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from dlm_core.bundle import Model, ModelInfo, read_weights
from dlm_core.config import GuidanceConfig
from dlm_core.errors import MissingError, PluginError, plugin_errors
from dlm_core.model import Prediction
from dlm_core.noise import PerSampleNoise
from dlm_core.spec import control_name
from dlm_core.vocab import Vocab

LOG_FLOOR = -40.0
"""No word is impossible: log q_i(w) is never below this, so that a control can always be met."""


@dataclass(frozen=True, eq=False)
class State:
    """What a control may look at in one step.

    Attributes:
        x_t: (B, L, D). In `paper` mode it requires grad.
        t: (B,), the time of x_t in [0, 1]; 0 is least noise.
        alpha_bar: (B,).
        lengths: (B,), words each text has; positions after them are padding.
        embedding: (V, D), word vectors.
        predict: gives x_0_hat and the rounding distribution on first use.
        seeds: (B,), for draws that must be the same at every step (`gumbel`).
    """

    x_t: Tensor
    t: Tensor
    alpha_bar: Tensor
    lengths: Tensor
    embedding: Tensor
    predict: Callable[[], Prediction] = field(repr=False)
    seeds: tuple[int, ...] = ()
    given_log_probs: Tensor | None = field(default=None, repr=False)
    """The rounding distribution, where it is known without `predict`."""

    @cached_property
    def _prediction(self) -> Prediction:
        return self.predict()

    @property
    def x_0_hat(self) -> Tensor:
        """(B, L, D), the estimate of x_0; costs one denoiser call, shared by all controls."""
        return self._prediction.x_0_hat

    @property
    def token_log_probs(self) -> Tensor:
        """(B, L, V), log q_i(w), the rounding distribution of x_0_hat."""
        if self.given_log_probs is not None:
            return self.given_log_probs
        return self._prediction.token_log_probs

    @cached_property
    def mask(self) -> Tensor:
        """(B, L) bool, True where a word stands."""
        return torch.arange(self.x_t.shape[1], device=self.x_t.device) < self.lengths[:, None]

    def gumbel(self, name: str, *shape: int) -> Tensor:
        """Standard Gumbels (B, *shape), the same at every step of one generation.

        With them `argmax(log p + gumbel)` draws a latent choice (where a phrase goes, say) from its
        posterior without flickering from step to step.
        """
        return PerSampleNoise(self.seeds, name, self.x_t.device).gumbel(*shape)

    def with_log_probs(self, token_log_probs: Tensor) -> State:
        """The same state with another rounding distribution; x_0_hat becomes its mean."""
        return replace(
            self,
            predict=lambda: Prediction(token_log_probs.exp() @ self.embedding, token_log_probs),
            given_log_probs=token_log_probs,
        )

    def rows(self, rows: slice) -> State:
        """The state of some samples."""
        given = self.given_log_probs
        return State(
            self.x_t[rows],
            self.t[rows],
            self.alpha_bar[rows],
            self.lengths[rows],
            self.embedding,
            lambda: Prediction(self.x_0_hat[rows], self.token_log_probs[rows]),
            self.seeds[rows],
            None if given is None else given[rows],
        )


@runtime_checkable
class Control(Protocol):
    """A constraint c, ready to be asked for log p(c | x_t)."""

    def log_prob(self, state: State) -> Tensor:
        """(B,), differentiable in what it reads of the state; samples must not mix."""
        ...


@runtime_checkable
class SupportsTilt(Protocol):
    """A control that knows its posterior better than one gradient does."""

    def tilt(self, state: State) -> Tensor:
        """log q'_i(w) given c, (B, L, V), from `state.token_log_probs`."""
        ...


@runtime_checkable
class SupportsFixed(Protocol):
    """A hard constraint on words: held at every step, in both modes."""

    def fixed(self, lengths: Tensor, width: int) -> Tensor:
        """Word ids (B, width) that must stand, -1 where free."""
        ...


@runtime_checkable
class SupportsRounding(Protocol):
    """A hard constraint on whole texts: held when the last x_0_hat is rounded, in every mode.

    Only one of a request's controls can choose the words: two of a kind must merge
    (`ControlSpec.merge`).
    """

    def round(self, token_log_probs: Tensor, lengths: Tensor) -> Tensor:
        """Word ids (B, L) of the likeliest texts that meet it.

        Args:
            token_log_probs: (B, L, V), log q_i(w); -inf where w must not stand at i.
            lengths: (B,); what the ids say after them does not count.

        Raises:
            UnsatisfiableError: no text of this length is left.
        """
        ...


@runtime_checkable
class SupportsLengths(Protocol):
    """A control that knows how long the texts are that meet it.

    n is drawn before x_T: where the constraint leaves it open, this makes it a draw from p(n | c).
    """

    def length_log_ratios(self) -> Tensor:
        """log p(n | c) / p(n) up to a constant, (N,), for n = 0 .. N - 1, N > `max_words`."""
        ...


@dataclass(frozen=True)
class FunctionControl:
    """A control from a function of the state.

    Attributes:
        function: log p(c | state), (B,).
        multilinear: p(c) is multilinear in q_i(w), so its gradient gives exact marginals.
        scope: `position` controls act on each word alone and are applied before `sentence` ones,
            which then see their effect.
    """

    function: Callable[[State], Tensor]
    multilinear: bool = False
    scope: Literal["position", "sentence"] = "sentence"

    def log_prob(self, state: State) -> Tensor:
        """(B,)."""
        return self.function(state)


@dataclass(frozen=True)
class Contrary:
    """log(1 - p) of a control whose p is normalised; its own tilt and fixed words do not apply.

    1 - p is multilinear in q where p is, so that the gradient conditions on it exactly, too.
    """

    control: Control

    @property
    def multilinear(self) -> bool:
        """As the control itself."""
        return getattr(self.control, "multilinear", False)

    @property
    def scope(self) -> str:
        """As the control itself."""
        return getattr(self.control, "scope", "sentence")

    def log_prob(self, state: State) -> Tensor:
        """(B,)."""
        return log1mexp(self.control.log_prob(state))


@dataclass(frozen=True)
class BuildContext:
    """What `ControlSpec.build` gets."""

    model: Model

    @property
    def info(self) -> ModelInfo:
        """Configuration, vocabulary and folder of the model."""
        return self.model.info

    @property
    def vocab(self) -> Vocab:
        """The word vocabulary."""
        return self.model.vocab

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.model.device

    def control(
        self,
        function: Callable[[State], Tensor],
        *,
        multilinear: bool = False,
        scope: Literal["position", "sentence"] = "sentence",
    ) -> FunctionControl:
        """Make a control from a function of the state (see `FunctionControl`)."""
        return FunctionControl(function, multilinear, scope)

    def head_weights(self, kind: str) -> tuple[Path, dict[str, Tensor]]:
        """Folder and tensors of the head that `dlm train control KIND` stored in the bundle.

        Raises:
            MissingError: this bundle has no such head.
        """
        folder = self.info.head_path(kind)
        if not (folder / "config.json").is_file():
            raise MissingError(
                f"model '{self.info.path.name}' has no trained head for control '{kind}'",
                f"dlm train control {kind} --model {self.info.path} --corpus READER:PATH",
            )
        return folder, read_weights(folder / "head.safetensors")


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


def tilt(state: State, groups: Sequence[GuidedRows]) -> Tensor:
    """Condition the rounding distribution on every control, one after the other: (B, L, V).

    Exact for position-wise controls; a sentence-wise one is exact given those before it.
    """
    log_q = state.token_log_probs
    out = log_q.clone()
    for group in groups:
        part = state.rows(group.rows)
        for guard in group.ordered():
            part = part.with_log_probs(guard.tilt(part))
        out[group.rows] = part.token_log_probs
    return out


def fixed_words(groups: Sequence[GuidedRows], lengths: Tensor, width: int) -> Tensor:
    """Word ids every hard constraint asks for, (B, width), -1 where free.

    Raises:
        PluginError: a control returned another shape.
    """
    out = torch.full((len(lengths), width), -1, device=lengths.device)
    for group in groups:
        for guard in group.guards:
            if isinstance(guard.control, SupportsFixed):
                ids = guard.fixed(guard.control, lengths[group.rows], width)
                out[group.rows] = torch.where(ids >= 0, ids, out[group.rows])
    return out


def round_words(log_q: Tensor, groups: Sequence[GuidedRows], lengths: Tensor) -> Tensor:
    """The likeliest words, (B, L), that meet the constraints on whole texts; argmax without them.

    Args:
        log_q: (B, L, V), -inf where a word must not stand.
        groups: controls and their rows.
        lengths: (B,).

    Raises:
        UnsatisfiableError: no text is left.
    """
    words = log_q.argmax(-1)
    for group in groups:
        for guard in group.ordered():
            if isinstance(guard.control, SupportsRounding):
                part = log_q[group.rows]
                words[group.rows] = guard.round(guard.control, part, lengths[group.rows])
    return words


def guide(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    make_state: Callable[[Tensor], State],
    groups: Sequence[GuidedRows],
    config: GuidanceConfig,
) -> Tensor:
    """K gradient steps on x_{t-1} (paper mode, §5.1).

    Maximises, for each sample, sum_k w_k log p(c_k | x) + fluency * log N(x; mean, var).

    Args:
        x: (B, L, D), drawn from N(mean, var).
        mean, var: of the step, (B, L, D) and (B, 1, 1).
        make_state: the state of a given x.
        groups: controls and their rows.
        config: K, rate, optimiser and fluency weight.
    """
    x = x.detach().clone()
    squares = torch.zeros_like(x)
    var = var.clamp(min=1e-8)
    steered = torch.zeros_like(x)  # rows without controls stay where they are
    for group in groups:
        steered[group.rows] = 1.0
    for _ in range(config.guidance_steps):
        with torch.enable_grad():
            leaf = x.clone().requires_grad_()
            state = make_state(leaf)
            total = torch.zeros((), device=x.device)
            for group in groups:
                part = state.rows(group.rows)
                for guard in group.guards:
                    total = total + guard.weight * guard.log_prob(part, needs_gradient=True).sum()
            # log N up to a constant; differentiating the batch sum keeps samples independent
            total = total - config.fluency * (steered * (leaf - mean).square() / (2 * var)).sum()
            (gradient,) = torch.autograd.grad(total, leaf)
        if not bool(gradient.isfinite().all()):
            labels = ", ".join(guard._name for group in groups for guard in group.guards)
            raise PluginError(f"the gradient at t={float(state.t[0]):.3f} is not finite: {labels}")
        if config.optimizer == "sign":
            step = gradient.sign()
        else:
            squares = squares + gradient.square()
            step = gradient / (squares.sqrt() + 1e-10)
        x = x + config.guidance_lr * step
    return x


def log1mexp(log_p: Tensor) -> Tensor:
    """log(1 - exp(log_p)) for log_p <= 0, exact at both ends; p is kept below 1 - 1e-7.

    The two forms are Mächler's (2012); each is evaluated only where it is used, for the gradient.
    """
    log_p = log_p.clamp(max=-1e-7)
    large = log_p > -math.log(2)  # p > 1/2
    near_one = torch.log(-torch.expm1(torch.where(large, log_p, -1.0)))
    near_zero = torch.log1p(-torch.exp(torch.where(large, -1.0, log_p)))
    return torch.where(large, near_one, near_zero)


def log_any(log_probs: Tensor, dim: int = -1) -> Tensor:
    """log(1 - prod(1 - p)): the probability that at least one independent event happens."""
    none = torch.log1p(-log_probs.exp().clamp(max=1 - 1e-7)).sum(dim)
    return torch.log(-torch.expm1(none).clamp(max=-1e-38))
