"""infill:left=...,right=...: write what stands between two texts. Classifier-free."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from dlm_controls.pattern.automaton import Automaton
from dlm_controls.pattern.language import WordAutomaton, warn
from dlm_controls.pattern.notation import Wildcard, Word
from dlm_controls.spelling import ranks, split_text
from dlm_core.control.lengths import Lengths
from dlm_core.control.spec import SpecValueError
from dlm_core.control.verdict import Place, Verdict
from dlm_core.text import normal

if TYPE_CHECKING:
    from torch import Tensor

    from dlm_core.bundle import ModelInfo
    from dlm_core.control.protocol import BuildContext, Control
    from dlm_core.control.state import State


class Infill(WordAutomaton):
    """Words between a left and a right text; both come back word for word."""

    kind: ClassVar[str] = "infill"
    normalised: ClassVar[bool] = False  # known words are held, not made likely
    examples: ClassVar[tuple[str, ...]] = (
        "infill:left=The Mill is,right=near Burger King .",
        "infill:left=The Mill,right=Burger King .,words=6",
    )

    left: str = ""
    right: str = ""
    words: int | None = Field(default=None, ge=1, le=100_000)
    """Words to write; drawn from the lengths the model knows if omitted."""

    if TYPE_CHECKING:

        def __init__(
            self, *, left: str = "", right: str = "", words: int | None = None
        ) -> None: ...

    @field_validator("left", "right")
    @classmethod
    def _tidy(cls, text: str) -> str:
        return " ".join(text.split())

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.left.split() and not self.right.split():
            raise SpecValueError("both sides are empty", "give left=, right= or both")
        return self

    def body(self) -> str:
        """Named fields; texts in quotes, or JSON where a text has quotes of its own."""
        if '"' in self.left + self.right:
            return super().body()
        parts = [f'{n}="{getattr(self, n)}"' for n in ("left", "right")]
        if self.words is not None:
            parts.append(f"words={self.words}")
        return ",".join(parts)

    def typed(self) -> Iterable[tuple[str, str, int]]:
        """The words of both sides."""
        for side in (self.left, self.right):
            for match in re.finditer(r"\S+", side):
                yield match[0], side, match.start()

    def field_of(self, source: str) -> str:
        """Which side it is."""
        return "left" if source == self.left else "right"

    def bind(self, info: ModelInfo) -> Self:
        """The same with both sides in the model's tokens."""
        return self._in_words(ranks(info.vocab.plain_words))

    def _in_words(self, known: Mapping[str, int]) -> Self:
        sides = {side: split_text(getattr(self, side), known) for side in ("left", "right")}
        return self.model_copy(update=sides)

    def check(self, info: ModelInfo) -> None:
        """Words that the model lacks stand as they are typed; they are told."""
        for word, source, _ in self.unknown_words(info):
            warn(
                f"control 'infill', field '{self.field_of(source)}': {word.message}; it stands "
                f"there as you typed it ({word.hint})"
            )
        _ = self.automaton

    def compile(self) -> Automaton:
        """Both sides and what may stand between; for infills that meet a pattern."""
        gap = [Wildcard.ONE] * (self.words or 1) + [Wildcard.RUN] * (self.words is None)
        left, right = (map(Word, side.split()) for side in (self.left, self.right))
        return Automaton.compile((*left, *gap, *right))

    def lengths(self, info: ModelInfo) -> Lengths:
        """Both sides and at least one word, or exactly `words`."""
        sides = self.bind(info)
        context = len(sides.left.split()) + len(sides.right.split())
        if self.words is None:
            return Lengths(context + 1, None)
        return Lengths(context + self.words, context + self.words)

    def build(self, context: BuildContext) -> Control:
        """Hold the known words at every step."""
        vocab, sides = context.vocab, self.bind(context.info)
        texts = tuple(sides.left.split()), tuple(sides.right.split())
        left, right = (tuple(vocab.id(word) for word in words) for words in texts)
        return _InfillControl(left, right, texts)

    def verify(self, text: str) -> Verdict:
        """Both sides word for word, with something between."""
        words = normal(text).split()
        sides = self._in_words(ranks(words))
        left, right = sides.left.split(), sides.right.split()
        gap = len(words) - len(left) - len(right)
        kept = words[: len(left)] == left and words[len(words) - len(right) :] == right
        satisfied = kept and (gap == self.words if self.words is not None else gap >= 1)
        sided = (Place(0, len(left), "left"), Place(len(words) - len(right), len(words), "right"))
        places = [place for place in sided if kept and place.start < place.end]
        detail = f"{gap} words between" if kept else "the context has changed"
        return Verdict(satisfied, detail, places=places)


@dataclass(frozen=True)
class _InfillControl:
    """Known words at both ends, as a hard constraint (`SupportsFixed`)."""

    left: tuple[int, ...]
    right: tuple[int, ...]
    """Ids; UNK where the model lacks a word."""
    words: tuple[tuple[str, ...], tuple[str, ...]]
    """Both sides as they are typed."""
    scope: ClassVar[str] = "position"

    def fixed(self, lengths: Tensor, width: int) -> Tensor:
        """Ids (B, width), -1 between the sides."""
        import torch

        ids = torch.full((len(lengths), width), -1, device=lengths.device)
        ids[:, : len(self.left)] = torch.tensor(self.left, device=lengths.device)
        for row, n in enumerate(lengths.tolist()):
            ids[row, n - len(self.right) : n] = torch.tensor(self.right, device=lengths.device)
        return ids

    def respell(self, words: Sequence[str]) -> list[str]:
        """The text with both sides as they are typed."""
        left, right = self.words
        return [*left, *words[len(left) : len(words) - len(right)], *right]

    def log_prob(self, state: State) -> Tensor:
        """Sum of log q_i of the known words, (B,)."""
        ids = self.fixed(state.lengths, state.x_t.shape[1])
        log_q = state.token_log_probs.gather(-1, ids.clamp(min=0)[..., None]).squeeze(-1)
        return (log_q * (ids >= 0)).sum(-1)

    def tilt(self, state: Any) -> Any:
        """Nothing: the walk holds the words already."""
        return state.token_log_probs
