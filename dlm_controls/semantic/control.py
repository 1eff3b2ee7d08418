"""A fact as a control: some phrase stands somewhere, its value words in the right field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING, ClassVar

from dlm_controls.semantic.places import replace

if TYPE_CHECKING:
    from torch import Tensor

    from dlm_controls.heads.tagger import WordTagger
    from dlm_core.control.state import State
    from dlm_core.vocab import Vocab

_MAX_CASES = 8
SETTLED = 0.6
"""At more noise than this there is no sentence yet in which a phrase could find its place."""
_REACH = 5  # words before a phrase in which a "not" denies it


def other_case(phrases: Sequence[Phrase], vocab: Vocab) -> Iterator[Phrase]:
    """The phrases in other case ("Riverside"): a text that has them says the fact as well."""
    alike: dict[str, list[int]] = {}
    for id_, word in enumerate(vocab.words):
        alike.setdefault(word.casefold(), []).append(id_)
    for phrase in phrases:
        choices = [alike[vocab.words[i].casefold()] for i in phrase.ids]
        for ids in islice(product(*choices), _MAX_CASES):
            if ids != phrase.ids:
                yield Phrase(ids, phrase.value)


def without(log_q: Tensor, words: Sequence[int]) -> Tensor:
    """log q with some words made as unlikely as can be."""
    import torch

    from dlm_core.control.state import LOG_FLOOR

    if not words:
        return log_q
    out = log_q.clone()
    out[..., list(words)] = LOG_FLOOR
    return torch.log_softmax(out, dim=-1)


def _any(scores: Tensor) -> Tensor:
    """log p that a phrase stands somewhere, from scores (B, R, L): (B,)."""
    from dlm_core.control.probability import log_any

    return log_any(scores.flatten(1).clamp(min=-80.0))


@dataclass(frozen=True)
class Phrase:
    """Word ids, and the half-open range of them that is the value."""

    ids: tuple[int, ...]
    value: tuple[int, int]


@dataclass(frozen=True, eq=False)
class SemanticControl:
    """p(c | x_t): some phrase stands somewhere, its value words in the right field.

    score(r, j) = sum_k [log q_{j+k}(v_rk) + log p(field | v_rk, context_{j+k})] for phrase r at j;
    p(c) = 1 - prod(1 - exp score).
    """

    tagger: WordTagger
    label: int
    phrases: tuple[Phrase, ...]
    name: str
    places: int
    others: tuple[Phrase, ...] = ()
    """Phrases that say it, too, but are never put into a text."""
    deniers: tuple[int, ...] = ()
    """Words that make it untrue where they stand up to `_REACH` words before it."""
    find: Callable[[Sequence[str]], int] = lambda words: 0
    """Counts what is wrong with a draft."""
    written: bool = False
    """The writer is shown the fact, and says it where it fits."""
    barred: tuple[int, ...] = ()
    """Words that say another value of the field; a written text has none of them."""
    foreign: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    """Words that stand in for a place the corpus never saw, and its own."""
    scope: ClassVar[str] = "sentence"
    multilinear: ClassVar[bool] = True
    """But for overlapping phrases; the gradient is asked for only where the contrary is."""

    def scores(self, state: State, phrases: Sequence[Phrase]) -> Tensor:
        """Of R phrases, (B, R, L), -inf where one does not fit."""
        import torch
        import torch.nn.functional as F

        log_q = state.token_log_probs
        batch, width, _ = log_q.shape
        ids = sorted({i for p in phrases for i in p.ids})
        words = torch.tensor(ids, device=log_q.device)
        context = self.tagger.context_of(state)
        logits = self.tagger.logits(context, words.expand(batch, width, -1))  # (B, L, C, K)
        field = F.log_softmax(logits, dim=-1)[..., self.label]  # (B, L, C)
        q = log_q[..., words]
        position = torch.arange(width, device=log_q.device)
        start = log_q.new_zeros(batch, width)  # log p that nothing before a place denies it
        if self.deniers:
            denied = log_q[..., list(self.deniers)].exp().sum(-1)
            kept = torch.log1p(-denied.clamp(max=1 - 1e-6))
            for back in range(1, min(_REACH, width - 1) + 1):
                start = start + F.pad(kept[:, :-back], (back, 0))
        rows = []
        for phrase in phrases:
            score = start
            for k, word in enumerate(phrase.ids):
                column = ids.index(word)
                term = q[..., column]
                if phrase.value[0] <= k < phrase.value[1]:
                    term = term + field[..., column]
                score = score + F.pad(term, (0, k), value=0.0)[:, k : k + width]
            fits = position[None] + len(phrase.ids) <= state.lengths[:, None]
            rows.append(score.masked_fill(~fits, -torch.inf))
        return torch.stack(rows, dim=1)

    def log_prob(self, state: State) -> Tensor:
        """(B,)."""
        return _any(self.scores(state, (*self.phrases, *self.others)))

    def faults(self, words: Sequence[str]) -> int:
        """As `find` counts them; only the writer's drafts are mended."""
        return self.find(words) if self.written else 0

    def respell(self, words: Sequence[str]) -> list[str]:
        """The words with a foreign place where its stand-in is."""
        return list(words) if self.foreign is None else replace(words, *self.foreign)

    def tilt(self, state: State) -> Tensor:
        """Draw phrase and place from their posterior, and put the phrase there.

        The mean over places would leave every one of them unlikely, and the clamp would take the
        phrase at none. The draw's noise is fixed for a sample, so the place settles as q does.
        In a written text a place is drawn only once the sentence has taken shape, and only if the
        writer does not say the fact by itself.
        """
        import torch

        from dlm_core.control.state import LOG_FLOOR

        log_q = state.token_log_probs
        if self.written:
            log_q = without(log_q, self.barred)
            state = state.with_log_probs(log_q)
            if float(state.t[0]) > SETTLED:
                return log_q
        wanted = (*self.phrases, *self.others) if self.written else self.phrases
        every = self.scores(state, wanted)
        scores = every[:, : len(self.phrases)]  # (B, R, L)
        gumbel = state.gumbel(self.name, len(self.phrases), self.places)[..., : scores.shape[-1]]
        best = (scores + gumbel).flatten(1).argmax(-1)  # (B,)
        out = log_q.clone()
        said = _any(every).exp().tolist() if self.written else [0.0] * len(best)
        for row, choice in enumerate(best.tolist()):
            if said[row] > 0.5:
                continue
            r, j = divmod(choice, scores.shape[-1])
            if self.deniers:
                out[row, max(0, j - _REACH) : j, list(self.deniers)] = LOG_FLOOR
            for k, word in enumerate(self.phrases[r].ids):
                out[row, j + k] = LOG_FLOOR
                out[row, j + k, word] = 0.0
        return torch.log_softmax(out, dim=-1)


@dataclass(frozen=True, eq=False)
class FactsControl:
    """Several facts as one control: p(c | x_t) is taken as the product of theirs."""

    parts: tuple[SemanticControl, ...]
    find: Callable[[Sequence[str]], int]
    """Counts what is wrong with a draft."""
    barred: tuple[int, ...] = ()
    """Words of fields that no fact is of."""
    scope: ClassVar[str] = "sentence"

    def log_prob(self, state: State) -> Tensor:
        """(B,)."""
        import torch

        return torch.stack([part.log_prob(state) for part in self.parts]).sum(0)

    def tilt(self, state: State) -> Tensor:
        """Without words that say something else; each fact in turn, given those before it."""
        if self.barred:
            state = state.with_log_probs(without(state.token_log_probs, self.barred))
        for part in self.parts:
            tilted = part.tilt(state)
            if tilted is not state.token_log_probs:
                state = state.with_log_probs(tilted)
        return state.token_log_probs

    def faults(self, words: Sequence[str]) -> int:
        """As `find` counts them."""
        return self.find(words)

    def respell(self, words: Sequence[str]) -> list[str]:
        """Each fact's own words in turn."""
        for part in self.parts:
            words = part.respell(words)
        return list(words)
