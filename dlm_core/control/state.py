"""What a control sees of a text half made.

Shapes: B batch, L word positions, D word-vector width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor

from dlm_core.diffusion.noise import PerSampleNoise
from dlm_core.diffusion.prediction import Prediction

_T = TypeVar("_T")
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
    _shared: dict[tuple[object, bool], Any] = field(default_factory=dict, repr=False)

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

    def shared(self, owner: object, make: Callable[[], _T]) -> _T:
        """What `owner`, a head say, makes of x_t, t and lengths alone: once for all its controls.

        It must not depend on the rounding distribution: `with_log_probs` keeps it.
        """
        # made without gradient it would have none for who needs one
        key = (owner, torch.is_grad_enabled())
        if key not in self._shared:
            self._shared[key] = make()
        found: _T = self._shared[key]
        return found

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
