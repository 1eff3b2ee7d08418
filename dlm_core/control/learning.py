"""What a kind of control that learns offers beside `train`: a check before, targets behind. Light.

A kind that offers neither is trained all the same: what is wrong with its corpus is told when its
turn comes, and its examples are what it is tried on.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from dlm_core.control.compose import ControlSpec

if TYPE_CHECKING:
    from dlm_core.corpora.example import Example


@runtime_checkable
class ChecksTraining(Protocol):
    """A kind of control that can tell before a model is trained whether its head could be.

    One that looks at no more than some texts of a large corpus says so in `most_texts`.
    """

    @classmethod
    def check_training(cls, examples: Sequence[Example], **options: Any) -> None:
        """Refuse what `train` would refuse, whatever the model: it may be hours away.

        Raises:
            MissingError: an oracle is missing.
            UsageError: the examples teach nothing.
        """
        ...


@runtime_checkable
class DrawsTargets(Protocol):
    """A kind of control that can ask for what a text of the corpus has."""

    @classmethod
    def draw_target(cls, example: Example, draws: Random, name: str) -> ControlSpec | None:
        """What a request could ask that this text meets; None where there is nothing.

        Args:
            example: a text that the model was not trained on.
            draws: decides where there is a choice.
            name: of the head, where a kind has many.
        """
        ...


def trainable(cls: type[ControlSpec]) -> bool:
    """The control has a head to train, as opposed to a classifier-free one."""
    return getattr(cls.train, "__func__", None) is not getattr(ControlSpec.train, "__func__", None)


def head_kind(cls: type[ControlSpec]) -> str:
    """The kind whose head a control needs; empty for a classifier-free one."""
    return cls.head or (cls.kind if trainable(cls) else "")
