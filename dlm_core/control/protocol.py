"""What a torch control is: `log_prob`, and what it may know beyond that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from dlm_core.bundle import Model, ModelInfo, read_weights
from dlm_core.control.probability import log1mexp
from dlm_core.control.state import State
from dlm_core.heads import belongs, check_head, read_config, state_of
from dlm_core.vocab import Vocab

_T = TypeVar("_T")


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


@runtime_checkable
class SupportsFaults(Protocol):
    """A control that can tell, by rules of its own, what is wrong with a finished draft."""

    def faults(self, words: Sequence[str]) -> int:
        """How much is wrong; 0 lets the draft stand, more has it corrected."""
        ...


@runtime_checkable
class SupportsSpelling(Protocol):
    """A control for words that the model lacks: others stand for them until the text is done."""

    def respell(self, words: Sequence[str]) -> list[str]:
        """The finished words as they are to be read."""
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
    """What `ControlSpec.build` gets, the same for all controls of a request."""

    model: Model
    shown: frozenset[str] = frozenset()
    """Names of the codes that the writer of these texts knows; none where no writer does."""
    whole: bool = False
    """These texts have whole words alone, though the vocabulary may have pieces."""

    @property
    def info(self) -> ModelInfo:
        """Configuration, vocabulary and folder of the model."""
        return self.model.info.of_whole_words if self.whole else self.model.info

    @property
    def vocab(self) -> Vocab:
        """The vocabulary; without pieces where these texts have none."""
        return self.info.vocab

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

    def head(self, kind: str, make: Callable[[], _T]) -> _T:
        """What `make` makes of a head, kept with the model while its files stay as they are."""
        return self.model.keep((kind, state_of(self.info.head_path(kind))), make)

    def head_weights(self, kind: str) -> tuple[Path, dict[str, Tensor]]:
        """Folder and tensors of the head that `dlm train control KIND` stored in the bundle.

        Raises:
            MissingError: there is no such head, or it was trained for another model.
        """
        folder = check_head(self.info, kind, self.model.digest)
        return folder, read_weights(folder / "head.safetensors", belongs(read_config(folder)))
