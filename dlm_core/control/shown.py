"""What the writer is shown of a condition: codes, of a whole text and of its places.

A control that is `SupportsShown` names what it asks for in codes, and says which codes a text of
the corpus meets; `dlm train writer` learns what texts are like that meet them. Light: no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from dlm_core.bundle import ModelInfo
    from dlm_core.corpora.example import Example

WRITER = "writer"
"""The writer's head in a bundle: `controls/writer`."""


class Code(NamedTuple):
    """One thing that is asked of a whole text: `food=Chinese`, or `name` with words of its own."""

    name: str
    words: tuple[str, ...] = ()
    """The very words asked for, where the writer is to copy them."""


@dataclass(frozen=True)
class Shown:
    """What one text is asked to meet, or what one meets."""

    whole: tuple[Code, ...] = ()
    """A set: the order says nothing."""
    places: tuple[str | None, ...] = ()
    """A code for each word, None where nothing is said; empty where nothing is said of any."""

    def __bool__(self) -> bool:
        return bool(self.whole) or any(self.places)

    @property
    def names(self) -> set[str]:
        """Names of all its codes."""
        return {code.name for code in self.whole} | {name for name in self.places if name}


@runtime_checkable
class SupportsShown(Protocol):
    """A control whose condition can be shown to the bundle's writer."""

    def shown(self, words: int) -> Shown:
        """Codes of what it asks of a text of so many words; of its places, if of any."""
        ...


@runtime_checkable
class LearnsShown(Protocol):
    """A kind of control that says which codes the texts of a corpus meet.

    With `shown_by_head = True` its head decides that: another head takes another writer.
    """

    @classmethod
    def read_shown(cls, examples: Sequence[Example], info: ModelInfo) -> Sequence[Shown | None]:
        """For each text all that could be shown of it to this model; None bars it."""
        ...

    @classmethod
    def draw_shown(cls, everything: Shown, words: Sequence[str], draws: Random) -> Shown:
        """Some of `everything`, as requests would ask; drawn anew whenever a text is seen."""
        ...
