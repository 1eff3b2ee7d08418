"""An automaton as a control: exact log p, whose gradient tilts exactly, and the likeliest text.

Shapes: B batch, L word positions, V vocabulary, S states of the DFA, C word classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from dlm_controls.pattern.entries import over_entries
from dlm_core.control.protocol import SupportsFixed, SupportsLengths, SupportsSpelling
from dlm_core.errors import UnsatisfiableError

if TYPE_CHECKING:
    from dlm_controls.pattern.automaton import Automaton
    from dlm_core.control.protocol import BuildContext
    from dlm_core.control.state import State

IMPOSSIBLE = -1e30
"""log 0 with a gradient."""
SPELLED = 0.05
"""About the share of the positions that go on a word, where texts are free."""
KEPT = 2**22
"""Numbers kept for a gradient at most; what needs more is computed again, position by position."""


@dataclass(frozen=True, eq=False)
class PatternControl:
    """p(pattern | x_t) = sum of prod_i q_i(w_i) over the texts the DFA accepts: multilinear in q.

    Attributes:
        table: (S, C), the state after a word of each class; 0 is the start.
        accepting: (S,) bool.
        named: (C - R,), ids of the words that are classes of their own.
        rests: (R, V) bool, the words of each of the last classes.
    """

    table: Tensor
    accepting: Tensor
    named: Tensor
    rests: Tensor
    multilinear: ClassVar[bool] = True

    @classmethod
    def of(cls, automaton: Automaton, context: BuildContext) -> PatternControl:
        """The control of an automaton; words that the vocabulary lacks occur in no text."""
        device = context.device
        automaton = automaton.within(set(context.vocab.plain_words))
        named = torch.tensor([context.vocab.id(w) for w in automaton.words], dtype=torch.long)
        rest = torch.ones(len(context.vocab), dtype=torch.bool)
        rest[named] = False
        return cls(
            torch.from_numpy(automaton.table).to(device),
            torch.from_numpy(automaton.accepting).to(device),
            named.to(device),
            rest[None].to(device),
        )

    def log_prob(self, state: State) -> Tensor:
        """The forward algorithm, (B,), from the end of the text: exact and differentiable."""
        log_q = state.token_log_probs
        return self._to_go(self._classes(log_q), state.lengths)[0][:, 0].to(log_q.dtype)

    def round(self, token_log_probs: Tensor, lengths: Tensor) -> Tensor:
        """Viterbi: ids (B, L) of the likeliest accepted text.

        Raises:
            UnsatisfiableError: no accepted text of this length is left.
        """
        log_q = token_log_probs
        likeliest = [log_q.masked_fill(~rest, -torch.inf).max(-1) for rest in self.rests]
        rest, rest_words = (torch.stack(parts, -1) for parts in zip(*likeliest, strict=True))
        best = torch.cat([log_q[..., self.named], rest], -1).double()  # (B, L, C)
        to_go = self._to_go(best, lengths, lambda x: x.amax(-1), -torch.inf)
        if bool((to_go[0][:, 0] == -torch.inf).any()):
            words = int(lengths[to_go[0][:, 0] == -torch.inf][0])
            raise UnsatisfiableError(
                f"no text of {words} words meets the patterns and the fixed words together",
                "drop one of the controls, or ask for another length",
            )
        word_of = torch.cat([self.named.expand(*rest.shape[:2], -1), rest_words], -1)
        at = torch.zeros_like(lengths)
        ids = []
        for i in range(log_q.shape[1]):
            ways = self.table[at]
            choice = (best[:, i] + to_go[i + 1].gather(1, ways)).argmax(-1, keepdim=True)
            ids.append(word_of[:, i].gather(1, choice).squeeze(1))
            at = ways.gather(1, choice).squeeze(1)
        return torch.stack(ids, 1)

    def _classes(self, log_q: Tensor) -> Tensor:
        """log of the probability of each word class, (B, L, C), in float64."""
        rests = [log_q[..., rest].logsumexp(-1, keepdim=True) for rest in self.rests]
        return torch.cat([log_q[..., self.named], *rests], -1).clamp(min=IMPOSSIBLE).double()

    def _to_go(
        self,
        classes: Tensor,
        lengths: Tensor,
        over_classes: Callable[[Tensor], Tensor] = lambda x: x.logsumexp(-1),
        impossible: float = IMPOSSIBLE,
    ) -> list[Tensor]:
        """For each position, log p of ending well from each state: L + 1 tensors (B, S)."""
        end = torch.where(self.accepting, 0.0, impossible).double()
        out = [end.expand(len(lengths), -1)]

        def before(classes_here: Tensor, after: Tensor) -> Tensor:
            return over_classes(classes_here[:, None] + after[:, self.table])  # (B, S, C) within

        large = (
            classes.requires_grad and len(lengths) * classes.shape[1] * self.table.numel() > KEPT
        )
        for i in reversed(range(classes.shape[1])):
            if large:
                going = checkpoint(
                    before, classes[:, i], out[-1], use_reentrant=False, preserve_rng_state=False
                )
            else:
                going = before(classes[:, i], out[-1])
            out.append(torch.where((i < lengths)[:, None], going, end))
        return out[::-1]


@dataclass(frozen=True, eq=False)
class EntryControl(PatternControl):
    """The same where a position is a word or a piece of one: `SupportsLengths`, too.

    Attributes:
        goes_on: (C,) bool, the classes of what goes on a word.
        most: L, positions a text has at most.
    """

    goes_on: Tensor
    most: int

    @classmethod
    def of(cls, automaton: Automaton, context: BuildContext) -> EntryControl:
        """The control of an automaton over words, all of which the vocabulary writes."""
        entries = over_entries(automaton, context.vocab)
        named = torch.tensor(entries.ids, dtype=torch.long)
        going = torch.tensor(list(map(context.vocab.goes_on, range(len(context.vocab)))))
        rests = torch.stack([going, ~going])
        rests[:, named] = False
        if not context.vocab.spells_freely:
            rests[:, context.vocab.piece_ids.start :] = False
        arrays = entries.table, entries.accepting, entries.goes_on
        table, accepting, goes_on = (torch.from_numpy(part).to(context.device) for part in arrays)
        device, most = context.device, context.info.max_words
        return cls(table, accepting, named.to(device), rests.to(device), goes_on, most)

    def length_log_ratios(self) -> Tensor:
        """log of `SPELLED` to the number of pieces that go on words, at least, of a text of n.

        So that a pattern of five words is not filled up with pieces to the usual number of
        positions. (L + 1,), -inf where no text of n positions is accepted.
        """
        cost = torch.where(self.goes_on, math.log(SPELLED), 0.0).double()
        best = torch.where(self.accepting, 0.0, -torch.inf).double()
        found = [best[0]]
        for _ in range(self.most):
            best = (cost + best[self.table]).amax(-1)
            found.append(best[0])
        return torch.stack(found)


class Held(SupportsFixed, SupportsLengths, SupportsSpelling, Protocol):
    """Words that are held at every step."""


@dataclass(frozen=True, eq=False)
class HeldControl(EntryControl):
    """An automaton of texts of which some words are held at every step, besides."""

    held: Held

    def length_log_ratios(self) -> Tensor:
        """As the automaton has it, and what holds the words."""
        held = self.held.length_log_ratios()
        return super().length_log_ratios() + held.to(self.table.device)

    def fixed(self, lengths: Tensor, width: int) -> Tensor:
        """As `SupportsFixed` has it."""
        return self.held.fixed(lengths, width)

    def respell(self, words: Sequence[str]) -> list[str]:
        """As `SupportsSpelling` has it."""
        return self.held.respell(words)
