"""lm:PATH: the candidate that an autoregressive teacher finds most fluent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from dlm_core.errors import MissingError, UsageError
from dlm_core.selection import SelectorSpec

if TYPE_CHECKING:
    from dlm_core.evaluation.teacher import Teacher
    from dlm_core.results import Result


class ByLM(SelectorSpec):
    """Lowest NLL a token under a word-level GPT-2 in the folder PATH."""

    kind: ClassVar[str] = "lm"
    positional: ClassVar[tuple[str, ...]] = ("path",)
    examples: ClassVar[tuple[str, ...]] = ("lm:TEACHER",)

    path: Path

    def check(self) -> None:
        """The folder has a teacher that can be read, and transformers is installed."""
        self._teacher()

    def _teacher(self) -> Teacher:
        from dlm_core.diffusion.surroundings import loading

        with loading(), _named():
            return _load(self.path.expanduser().resolve())

    def scores(self, candidates: Sequence[Result]) -> list[float]:
        """Minus the mean NLL of each text in nats a token; tokens are its words and END.

        Raises:
            MissingError: no teacher in the folder.
            UsageError: a text is longer than the teacher reads.
        """
        from dlm_core.diffusion.surroundings import usual_torch

        teacher = self._teacher()
        with usual_torch(), _named():  # one by one: a score does not depend on the others' lengths
            return [-teacher.nll([result.tokenised])[0] for result in candidates]


@lru_cache(maxsize=2)
def _load(folder: Path) -> Teacher:
    """Read once for all requests of a run."""
    from dlm_core.evaluation.teacher import Teacher

    return Teacher.load(folder)


@contextmanager
def _named() -> Iterator[None]:
    """Errors of the teacher as the selector's."""
    try:
        yield
    except (MissingError, UsageError) as error:
        raise type(error)(f"selector 'lm': {error.message}", error.hint) from error
