"""An automaton as a control: exact log p, whose gradient tilts exactly, and the likeliest text.

Shapes: B batch, L word positions, V vocabulary, S states of the DFA, C word classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from dlm_core.errors import UnsatisfiableError

if TYPE_CHECKING:
    from dlm_controls.pattern.automaton import Automaton
    from dlm_core.control.protocol import BuildContext
    from dlm_core.control.state import State

IMPOSSIBLE = -1e30
"""log 0 with a gradient."""
KEPT = 2**22
"""Numbers kept for a gradient at most; what needs more is computed again, position by position."""


@dataclass(frozen=True, eq=False)
class PatternControl:
    """p(pattern | x_t) = sum of prod_i q_i(w_i) over the texts the DFA accepts: multilinear in q.

    Attributes:
        table: (S, C), the state after a word of each class; 0 is the start.
        accepting: (S,) bool.
        named: (C - 1,), ids of the words that are classes of their own; the rest is the last class.
        rest: (V,) bool, the words of the last class.
    """

    table: Tensor
    accepting: Tensor
    named: Tensor
    rest: Tensor
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
            rest.to(device),
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
        rest, rest_word = log_q.masked_fill(~self.rest, -torch.inf).max(-1)  # (B, L)
        best = torch.cat([log_q[..., self.named], rest[..., None]], -1).double()  # (B, L, C)
        to_go = self._to_go(best, lengths, lambda x: x.amax(-1), -torch.inf)
        if bool((to_go[0][:, 0] == -torch.inf).any()):
            words = int(lengths[to_go[0][:, 0] == -torch.inf][0])
            raise UnsatisfiableError(
                f"no text of {words} words meets the patterns and the fixed words together",
                "drop one of the controls, or ask for another length",
            )
        word_of = torch.cat([self.named.expand(*rest.shape, -1), rest_word[..., None]], -1)
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
        rest = log_q[..., self.rest].logsumexp(-1, keepdim=True)
        return torch.cat([log_q[..., self.named], rest], -1).double()

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
