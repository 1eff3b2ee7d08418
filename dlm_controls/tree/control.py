"""A tree, or one span of one, as a control: words that suit it, and the chart's gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from dlm_controls.tree.bracketing import ANY, Bracket, ParseTree
from dlm_controls.tree.chart import NOTHING, Head
from dlm_core.control.protocol import FunctionControl
from dlm_core.control.state import LOG_FLOOR, State
from dlm_core.guidance.guard import Guard

if TYPE_CHECKING:
    from dlm_core.vocab import Vocab

TREE_CHART, SPAN_CHART = 1.0, 3.0
"""Weights of the chart's tilt."""
ROUNDS = 3
"""Times the chart tilts, each time seeing what the last one left."""
FLOOR = -30.0
"""log p of a label is no lower, so that one hopeless span does not drown the others."""


def tree_control(head: Head, tree: ParseTree, vocab: Vocab) -> TreeControl | WordedTree:
    """All spans of a tree, all others no constituents, and the words it names."""
    n = len(tree.words)
    spans = {(i, j): [head.chart.labels.index(NOTHING)] for i in range(n) for j in range(i, n)}
    for place, chain in tree.chains().items():
        spans[place] = _with_chain(head.chart.labels, chain)
    control = TreeControl(head, spans, tree.brackets, False, TREE_CHART)
    if all(word == ANY for word in tree.words):
        return control
    return WordedTree(control, [-1 if word == ANY else vocab.id(word) for word in tree.words])


def span_control(head: Head, start: int, end: int, label: str) -> SpanControl:
    """One span: any chain with the label."""
    labels = [k for k, other in enumerate(head.chart.labels) if f"::{label}::" in f"::{other}::"]
    brackets = [Bracket(start, end, name) for name in label.split("::")]
    return SpanControl(head, {(start, end): labels}, brackets, True, SPAN_CHART)


def _with_chain(labels: Sequence[str], chain: tuple[str, ...]) -> list[int]:
    """This chain, or, where it is too rare to be a label, those that share most of it."""
    if "::".join(chain) in labels:
        return [labels.index("::".join(chain))]
    shared = [len(set(chain) & set(label.split("::"))) for label in labels]
    return [k for k, n in enumerate(shared) if n == max(shared) and n]


class TreeControl:
    """See the module docstring.

    Args:
        head: chart and words.
        spans: (i, j) -> labels it may have.
        brackets: what is asked, outermost first.
        partial: the text's tree has other brackets, too.
        chart_weight: of the chart's share of the tilt.
    """

    scope: ClassVar[str] = "position"

    def __init__(
        self,
        head: Head,
        spans: dict[tuple[int, int], list[int]],
        brackets: Sequence[Bracket],
        partial: bool,
        chart_weight: float,
    ) -> None:
        self.head = head
        self.brackets = tuple(brackets)
        self.partial = partial
        self.starts = torch.tensor([i for i, _ in spans])
        self.ends = torch.tensor([j for _, j in spans])
        self.labels = torch.zeros(len(spans), len(head.chart.labels), dtype=torch.bool)  # (E, K)
        for row, allowed in zip(self.labels, spans.values(), strict=True):
            row[allowed] = True
        self._chart = Guard(FunctionControl(self.log_prob), chart_weight, "the chart", "")

    def log_prob(self, state: State) -> Tensor:
        """Sum over the wanted spans of log p(label), (B,)."""
        q = state.token_log_probs.exp()
        starts, ends = self.starts.to(q.device), self.ends.to(q.device)
        log_p = self.head.chart(q, state.t, state.lengths, starts, ends)  # (B, E, K)
        wanted = log_p.masked_fill(~self.labels.to(log_p.device), -torch.inf)
        return wanted.logsumexp(-1).clamp(min=FLOOR).sum(-1)  # type: ignore[no-any-return]

    def tilt(self, state: State) -> Tensor:
        """Tilt by the words, then by the chart, to first order, `ROUNDS` times."""
        log_q = state.token_log_probs
        codes = self.head.codes(self.brackets, log_q.shape[1], self.partial).to(log_q.device)
        delta = self.head.words(log_q.exp(), codes[None], state.t, state.lengths)
        log_q = F.log_softmax(log_q + delta, dim=-1).clamp(min=LOG_FLOOR)
        for _ in range(ROUNDS):
            log_q = self._chart.tilt(state.with_log_probs(log_q))
        return log_q


class SpanControl(TreeControl):
    """One span of a tree: it also knows how long such texts are."""

    def length_log_ratios(self) -> Tensor:
        """log p(n | span) / p(n), (max_len + 1,), up to a constant."""
        first = self.brackets[0]
        label = self.head.codes.names.index(first.label) + 1
        values = (torch.tensor([value]) for value in (label, first.start, first.end))
        device = self.head.chart.words.device
        return self.head.lengths(*(value.to(device) for value in values))[0]  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class WordedTree:
    """A tree some of whose words are given: `words` are their ids, -1 where free."""

    tree: TreeControl
    words: Sequence[int]
    scope: ClassVar[str] = TreeControl.scope

    def log_prob(self, state: State) -> Tensor:
        """(B,), of the tree."""
        return self.tree.log_prob(state)

    def tilt(self, state: State) -> Tensor:
        """As the tree does."""
        return self.tree.tilt(state)

    def fixed(self, lengths: Tensor, width: int) -> Tensor:
        """Ids of the words the tree names, (B, width), -1 where free."""
        ids = torch.full((len(lengths), width), -1, device=lengths.device)
        ids[:, : len(self.words)] = torch.tensor(self.words, device=lengths.device)
        return ids
