"""The noise-aware head of `tree` and `span`: a chart over spans, and the words a tree asks for.

Chart: for every span (i, j) a locally normalised distribution over labels, "no constituent"
included (Kitaev and Klein 2018; the paper's App. D); a label is a unary chain, `S::VP`. It reads
the words softly, sum_w q_i(w) F[w], and is trained on the rounding distributions that the frozen
model gives at every t:

    log p(tree | x_t) = sum_{i <= j} log p_chart(label_ij | q, t) .

Words: a `WordsGiven` that is shown the tree, or one span of it. Guidance tilts by both: the words
know what such trees are made of while x_t is still noise, the chart's gradient sees what does not
parse as asked.

Lengths: how many words a text with such a span has, p(n | span) ~ p(n) exp r_n(span).

Shapes: B batch, L positions, V vocabulary, K labels, E wanted spans, S codes a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlm_controls.heads.words_given import NOTHING_SHOWN, WordsGiven
from dlm_controls.tree.bracketing import ROOTS, Bracket
from dlm_controls.tree.labels import HEAD
from dlm_core.control.protocol import BuildContext
from dlm_core.diffusion.denoisers.transformer import Transformer
from dlm_core.diffusion.surroundings import loading
from dlm_core.heads import fill, read_labels

NOTHING = ""
"""The label of a span that is no constituent; index 0."""
SLOTS = 8
"""Innermost constituents around a word that the words net is shown."""
NEAR = 3
"""Distances from a constituent's ends are told apart up to this."""


class Chart(nn.Module):
    """p(label of span | soft words, t).

    Args:
        vocab_size: V.
        labels: the K labels, `NOTHING` first.
        max_len: positions at most.
    """

    def __init__(
        self,
        vocab_size: int,
        labels: Sequence[str],
        max_len: int,
        features: int = 64,
        hidden: int = 128,
        layers: int = 2,
    ) -> None:
        super().__init__()
        self.labels = tuple(labels)
        self.settings = {"features": features, "hidden": hidden, "layers": layers}
        self.words = nn.Parameter(torch.randn(vocab_size, features))
        self.trunk = Transformer(features, 2 * hidden, hidden, layers, 4, max_len)
        self.up = nn.Linear(2 * hidden, hidden)
        self.out = nn.Linear(hidden, len(labels))

    def forward(
        self, q: Tensor, t: Tensor, lengths: Tensor, starts: Tensor, ends: Tensor
    ) -> Tensor:
        """log p(label of the words starts[e]..ends[e], both included), (B, E, K).

        Args:
            q: (B, L, V), word probabilities.
            t: (B,).
            lengths: (B,); what a span beyond a text gets is undefined.
            starts, ends: (E,).
        """
        h = self.trunk(q @ self.words, t, lengths)  # (B, L, 2 H)
        left, right = h.chunk(2, dim=-1)
        # Behind a text's last word stands nothing, as in a batch that is no wider: not the padding.
        beyond = torch.arange(q.shape[1], device=q.device) >= lengths[:, None]
        right = right.masked_fill(beyond[..., None], 0.0)
        # A fencepost is the words on either side of it; a span the difference of two.
        before = F.pad(left, (0, 0, 1, 0))  # (B, L + 1, H)
        after = F.pad(right, (0, 0, 0, 1))
        posts = torch.cat([before, after], dim=-1)  # (B, L + 1, 2 H)
        span = posts[:, ends + 1] - posts[:, starts]  # (B, E, 2 H)
        logits = self.out(F.gelu(self.up(F.layer_norm(span, span.shape[-1:]))))
        return F.log_softmax(logits.float(), dim=-1)


class TreeCodes:
    """What the words net is shown of a tree.

    A word's codes are, of each constituent around it from within, the label and how far the word is
    from its first and its last one. Where only some brackets are asked for, words beside the last
    of them are told so, too: the word before a phrase has as much to do with it as its own.

    Args:
        names: labels of single brackets.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._ids = {name: k for k, name in enumerate(self.names, 1)}  # 0: a label that is unknown
        self._labels = NOTHING_SHOWN + 2  # the code between says that only some are asked for
        self._places = self._labels + SLOTS * (len(names) + 1)
        self._beside = self._places + SLOTS * (NEAR + 1) ** 2
        self.count = self._beside + 2 * NEAR * (len(names) + 1)

    def __call__(self, brackets: Sequence[Bracket], length: int, partial: bool = False) -> Tensor:
        """(L, S).

        Args:
            brackets: outermost first.
            length: L.
            partial: the tree has other brackets, too.
        """
        around: list[list[tuple[int, int]]] = [[] for _ in range(length)]
        for start, end, name in brackets:
            for i in range(start, min(end + 1, length)) if name not in ROOTS else ():
                place = (NEAR + 1) * min(i - start, NEAR) + min(end - i, NEAR)
                around[i].insert(0, (self._ids.get(name, 0), place))
        rows = [[NOTHING_SHOWN + 1] if partial else [] for _ in range(length)]
        for row, constituents in zip(rows, around, strict=True):
            for slot, (label, place) in enumerate(constituents[:SLOTS]):
                row.append(self._labels + slot * (len(self.names) + 1) + label)
                row.append(self._places + slot * (NEAR + 1) ** 2 + place)
        if partial and brackets:
            start, end, name = brackets[-1]
            first = self._beside + 2 * NEAR * self._ids.get(name, 0)
            for distance in range(NEAR):
                if start - 1 - distance >= 0:
                    rows[start - 1 - distance].append(first + distance)
                if end + 1 + distance < length:
                    rows[end + 1 + distance].append(first + NEAR + distance)
        width = 2 * SLOTS + 2
        return torch.tensor([row + [NOTHING_SHOWN] * (width - len(row)) for row in rows])


class SpanLengths(nn.Module):
    """r_n(span): how much likelier a constituent makes each number of words.

    Args:
        labels: how many labels of single brackets there are, the unknown one included.
        max_len: words at most.
    """

    def __init__(self, labels: int, max_len: int, hidden: int = 64) -> None:
        super().__init__()
        self.label = nn.Embedding(labels, hidden)
        self.start = nn.Embedding(max_len, hidden)
        self.end = nn.Embedding(max_len, hidden)
        self.size = nn.Embedding(max_len, hidden)
        self.up = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, max_len + 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, label: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """label ids, first and last words, (N,) each -> (N, max_len + 1)."""
        h = self.label(label) + self.start(start) + self.end(end) + self.size(end - start)
        return self.out(F.gelu(self.up(F.gelu(h)))).float()  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class Head:
    """What `dlm train control tree` trains."""

    chart: Chart
    words: WordsGiven
    lengths: SpanLengths
    codes: TreeCodes

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The nets by name."""
        return {"chart": self.chart, "words": self.words, "lengths": self.lengths}


def new_head(vocab_size: int, labels: Sequence[str], max_len: int) -> Head:
    """An untrained head for these labels of spans, `NOTHING` first."""
    codes = TreeCodes(sorted({name for label in labels if label for name in label.split("::")}))
    return Head(
        Chart(vocab_size, labels, max_len),
        WordsGiven(vocab_size, codes.count, max_len),
        SpanLengths(len(codes.names) + 1, max_len),
        codes,
    )


def load_head(context: BuildContext) -> Head:
    """The head that `dlm train control tree` stored in the bundle, frozen."""
    return context.head(HEAD, lambda: _load_head(context))


@loading()
def _load_head(context: BuildContext) -> Head:
    folder, weights = context.head_weights(HEAD)
    labels = read_labels(folder, weights)
    head = new_head(len(context.vocab), labels, context.info.config.max_len)
    for name, module in head.modules.items():
        start = f"{name}."
        part = {k.removeprefix(start): v for k, v in weights.items() if k.startswith(start)}
        fill(module, part, context.info, HEAD)
        module.to(context.device).eval().requires_grad_(False)
    return head
