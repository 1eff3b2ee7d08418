"""A tag sequence as a control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dlm_controls.pos.align import align

if TYPE_CHECKING:
    from torch import Tensor

    from dlm_controls.heads.tagger import WordTagger
    from dlm_controls.heads.words_given import WordsGiven
    from dlm_core.control.state import State

IN_CONTEXT = 0.5
"""At more noise than this the words' own tags decide: what surrounds them says little."""


@dataclass(frozen=True, eq=False)
class PosControl:
    """p(tags | x_t) = prod_i sum_w q_i(w) p(tag_i | w, context_i): multilinear in q."""

    tagger: WordTagger
    words: WordsGiven
    items: tuple[int, ...]
    gaps: tuple[bool, ...]
    written: bool = False
    """The writer is shown the tags, and q is of words that such tags are made of."""
    multilinear: ClassVar[bool] = True
    scope: ClassVar[str] = "position"

    def log_prob(self, state: State) -> Tensor:
        """(B,)."""
        labels = self._labels(state)
        # floored, so that one impossible word does not drown the gradient of the others
        per_word = self._joint(state, labels).logsumexp(-1).clamp(min=-50.0)  # (B, L)
        return (per_word * (labels >= 0)).sum(-1)

    def tilt(self, state: State) -> Tensor:
        """Tilt by the words that such tags are made of, then by the tagger.

        Guard normalises q_i(w) p(tag_i | w, context_i), the gradient's closed form.
        """
        from dlm_controls.pos.words import codes
        from dlm_core.control.state import LOG_FLOOR

        log_q, labels = state.token_log_probs, self._labels(state)
        if not self.written:
            delta: Tensor = self.words(log_q.exp(), codes(labels), state.t, state.lengths)
            log_q = (log_q + delta).log_softmax(dim=-1).clamp(min=LOG_FLOOR)
        if float(state.t.min()) > IN_CONTEXT:
            return log_q + self.tagger.lexicon_scores(labels)
        return self._joint(state.with_log_probs(log_q), labels)

    def _joint(self, state: State, labels: Tensor) -> Tensor:
        """log q_i(w) p(tag_i | w, context_i), (B, L, V)."""
        log_q = state.token_log_probs
        return log_q + self.tagger.word_log_probs(state, labels, log_q.detach())

    def _labels(self, state: State) -> Tensor:
        """Wanted label of each position, (B, L), -1 free.

        With one gap at most the length decides; with more, the alignment that the lexicon finds
        likeliest in q.
        """
        import torch

        batch, width = state.x_t.shape[:2]
        labels = torch.full((batch, width), -1, device=state.x_t.device)
        items = torch.tensor(self.items, device=state.x_t.device)
        if sum(self.gaps) > 1:
            p = state.token_log_probs.detach().exp() @ self.tagger.lexicon_log_probs().exp()
            cost = -p.clamp(min=1e-9).log()[..., items.clamp(min=0)]  # (B, L, items)
            costs = cost.masked_fill(items < 0, 0.0).tolist()
        for row, n in enumerate(state.lengths.tolist()):
            if sum(self.gaps) > 1:
                aligned = align(costs[row][:n], self.gaps)
            else:
                aligned = align([[0.0] * len(self.items)] * n, self.gaps)
            if aligned is not None:
                labels[row, :n] = items[torch.tensor(aligned, device=items.device)]
        return labels
