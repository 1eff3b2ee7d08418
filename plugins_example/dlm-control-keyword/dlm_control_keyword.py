"""keyword:sushi,wine - make each of some words appear somewhere.

A whole plugin: a spec (light, what the user asks for), a control (torch, what steers) and one hook.
It uses the published names of `dlm_core` only.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator

from dlm_core import ControlSpec, Lengths, SpecError, SpecValueError, Verdict, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from dlm_core import BuildContext, Control, ModelInfo, State


class Keyword(ControlSpec):
    """Words that must each appear somewhere in the text."""

    kind: ClassVar[str] = "keyword"
    positional: ClassVar[tuple[str, ...]] = ("words",)
    examples: ClassVar[tuple[str, ...]] = ("keyword:sushi", "keyword:sushi,wine")

    words: tuple[str, ...]

    @field_validator("words", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(w.strip() for w in value.split(",")) if isinstance(value, str) else value

    @field_validator("words")
    @classmethod
    def _plain(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            if not word or "," in word or word.split() != [word]:
                raise SpecValueError(f"'{word}' is not one word", "for example keyword:sushi,wine")
        if not words:
            raise SpecValueError("no words", "for example keyword:sushi,wine")
        return tuple(dict.fromkeys(words))

    def body(self) -> str:
        """Words separated by commas."""
        return ",".join(self.words)

    def check(self, info: ModelInfo) -> None:
        """Every word must be in the vocabulary; its first four entries are no words."""
        known = info.vocab.plain_words
        for word in self.words:
            if word not in known:
                near = difflib.get_close_matches(word, known, n=1)
                raise SpecError(
                    f"control 'keyword': the model does not know the word '{word}'",
                    source=self.body(),
                    span=_place(self.words, word),
                    hint=f"did you mean '{near[0]}'?" if near else None,
                )

    def lengths(self, info: ModelInfo) -> Lengths:
        """A place for each word."""
        return Lengths(len(self.words), None)

    def build(self, context: BuildContext) -> Control:
        """Steer by the rounding distribution alone: there is nothing to train."""
        ids = {word: context.vocab.id(word) for word in self.words}
        return _KeywordControl(ids, context.info.max_words)

    def verify(self, text: str) -> Verdict:
        """Each word stands in the text, spelt the same; `score` is the share that does."""
        found = text.split()
        missing = [word for word in self.words if word not in found]
        detail = f"missing: {', '.join(missing)}" if missing else ""
        return Verdict(not missing, detail, 1 - len(missing) / len(self.words))


def _place(words: tuple[str, ...], word: str) -> tuple[int, int]:
    """Where `word` stands in `body()`."""
    start = sum(len(w) + 1 for w in words[: words.index(word)])
    return start, start + len(word)


@dataclass(frozen=True)
class _KeywordControl:
    """p(c) = prod over words of 1 - prod_i (1 - q_i(word)): each stands at one place at least.

    Shapes: B batch, L positions, V vocabulary.
    """

    ids: dict[str, int]
    max_words: int

    def _columns(self, state: State) -> dict[str, Tensor]:
        """log q_i(word) of each word, (B, L); very small where no word stands."""
        return {
            word: state.token_log_probs[..., k].masked_fill(~state.mask, -80.0)
            for word, k in self.ids.items()
        }

    def log_prob(self, state: State) -> Tensor:
        """(B,)."""
        total = state.token_log_probs.new_zeros(len(state.lengths))
        for log_q in self._columns(state).values():
            # log prod (1 - q); q just below 1, so that log1p stays finite
            absent = (-log_q.exp().clamp(max=1 - 1e-7)).log1p().sum(-1)
            total = total + (-absent.expm1()).clamp(min=1e-38).log()
        return total

    def tilt(self, state: State) -> Tensor:
        """Draw ONE place for each word from its posterior, and put the word there: (B, L, V).

        The gradient of `log_prob` spreads a word over all places where it might stand, and the
        clamp, which takes the likeliest word of each, would take it at none. p(place | it appears)
        is proportional to q_place(word), and argmax(log q + gumbel) draws from it. The Gumbels stay
        the same at every step of a sample, so that the place settles as q does.
        """
        out = state.token_log_probs.clone()
        free = state.mask.clone()  # (B, L), no word of ours there yet
        row = list(range(len(out)))
        for word, log_q in self._columns(state).items():
            # always max_words draws, so that they do not depend on the batch's longest text
            gumbel = state.gumbel(f"keyword:{word}", self.max_words)[:, : log_q.shape[1]]
            place = (log_q + gumbel).masked_fill(~free, float("-inf")).argmax(-1)  # (B,)
            free[row, place] = False
            out[row, place] = float("-inf")
            out[row, place, self.ids[word]] = 0.0
        return out


@hookimpl
def dlm_register_controls(register: Callable[[type[ControlSpec]], None]) -> None:
    """Register keyword."""
    register(Keyword)
