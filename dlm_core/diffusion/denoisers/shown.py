"""A denoiser that is shown what is asked for: f(x_t, t, previous x_0_hat, codes).

Codes of the whole text stand as further positions beside the words, without a place of their own;
codes of a place are added to it. Shown nothing it is a denoiser like any other.

Shapes: B batch, L positions, S codes of the whole text, P codes a place, D word-vector width,
H hidden width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlm_core.config import ModelConfig
from dlm_core.diffusion.denoisers.base import ROWS
from dlm_core.diffusion.denoisers.transformer import TransformerDenoiser, sinusoid

MOST_WORDS = 8
"""Words of a code, and pieces of words, that are told apart by their order."""
NONE = 0
"""Id of the code that says nothing."""


class ShownIds(NamedTuple):
    """Codes of a batch as ids.

    Attributes:
        codes: (B, S), NONE where there is none.
        words: (B, S), the word to copy that belongs to a code, -1 where there is none.
        order: (B, S), which word of its code it is.
        places: (B, L, P), NONE where there is none.
        given: (B, L), words known to stand, -1 where open.
    """

    codes: Tensor
    words: Tensor
    order: Tensor
    places: Tensor
    given: Tensor

    def rows(self, rows: Tensor | slice, width: int | None = None) -> ShownIds:
        """Those of some texts, the places cut to `width`."""
        codes, words, order, places, given = (part[rows] for part in self)
        return ShownIds(codes, words, order, places[:, :width], given[:, :width])

    def to(self, device: torch.device | str) -> ShownIds:
        """The same, elsewhere."""
        return ShownIds(*(part.to(device) for part in self))


class ShownDenoiser(TransformerDenoiser):
    """See the module docstring.

    Args:
        config: the model's shape.
        codes: how many there are, NONE included.
    """

    def __init__(self, config: ModelConfig, codes: int) -> None:
        super().__init__(config)
        hidden = config.hidden
        self.codes = nn.Embedding(codes, hidden, padding_idx=NONE)
        self.order = nn.Embedding(MOST_WORDS, hidden)
        self.words = nn.Linear(config.embedding_dim, hidden, bias=False)
        self.given = nn.Linear(config.embedding_dim, hidden)
        self.placed = nn.Embedding(codes, hidden, padding_idx=NONE)
        self.lengths = nn.Sequential(
            nn.Linear(2 * hidden + 2, hidden), nn.GELU(), nn.Linear(hidden, config.max_len + 1)
        )
        self.bag = nn.Embedding(codes, hidden, padding_idx=NONE)
        self.bag_words = nn.Linear(config.embedding_dim, hidden, bias=False)
        with torch.no_grad():
            self.codes.weight[1:].normal_(std=0.5)
            self.bag.weight[1:].normal_(std=0.1)
            self.order.weight.normal_(std=0.5)
            self.placed.weight.zero_()
            nn.init.zeros_(self.given.weight)
            nn.init.zeros_(self.given.bias)

    def start_from(self, denoiser: nn.Module) -> None:
        """Begin as a denoiser that was shown nothing yet; words look as clean ones do to it."""
        self.load_state_dict(denoiser.state_dict(), strict=False)
        with torch.no_grad():
            self.words.weight.copy_(self.inputs.weight[:, : self.words.in_features])

    def denoise(
        self,
        x_t: Tensor,
        t: Tensor,
        lengths: Tensor,
        x_0_prev: Tensor | None,
        shown: ShownIds | None = None,
        embedding: Tensor | None = None,
    ) -> Tensor:
        """As `Denoiser.denoise`; `embedding` (V, D) gives the vectors of the words shown."""
        if self.self_conditioning:
            prev = torch.zeros_like(x_t) if x_0_prev is None else x_0_prev
            x_t = torch.cat([x_t, prev], dim=-1)
        if self.training or len(x_t) <= ROWS or bool((lengths == lengths[0]).all()):
            return self._run(x_t, t, lengths, shown, embedding)
        out = x_t.new_zeros(*x_t.shape[:2], self.outputs.out_features)
        for rows in torch.split(lengths.argsort(stable=True), ROWS):
            width = int(lengths[rows].max())
            part = None if shown is None else shown.rows(rows, width)
            some = self._run(x_t[rows, :width], t[rows], lengths[rows], part, embedding)
            out[rows, :width] = some.to(out.dtype)
        return out

    def _run(
        self,
        x: Tensor,
        t: Tensor,
        lengths: Tensor,
        shown: ShownIds | None,
        embedding: Tensor | None,
    ) -> Tensor:
        if shown is None:
            return self(x, t, lengths)  # type: ignore[no-any-return]
        assert embedding is not None
        length = x.shape[1]
        left = torch.arange(length, device=x.device)
        right = (lengths[:, None] - 1 - left).clamp(min=0)
        h = self.inputs(x) + self.from_left(left) + self.from_right(right)  # (B, L, H)
        h = h + self.placed(shown.places).sum(-2)
        known = (shown.given >= 0)[..., None]
        if bool(known.any()):
            h = h + self.given(F.embedding(shown.given.clamp(min=0), embedding)) * known
        used = shown.codes != NONE
        most = int(used.sum(-1).max())
        codes, words, order = (part[:, :most] for part in shown[:3])
        beside = (
            self.codes(codes)
            + (self.words(F.embedding(words.clamp(min=0), embedding)) + self.order(order))
            * (words >= 0)[..., None]
        )  # (B, S, H)
        h = torch.cat([h, beside.to(h.dtype)], dim=1)
        mask = torch.cat([left < lengths[:, None], used[:, :most]], dim=1)
        modulation = self.time(sinusoid(t, self.hidden)).view(len(t), 6, self.hidden)
        attended = None if bool(mask.all()) else mask[:, None, None, :]
        for block in self.blocks:
            h = block(h, modulation, attended)
        return self.outputs(F.layer_norm(h[:, :length], (self.hidden,)))  # type: ignore[no-any-return]

    def length_log_probs(self, shown: ShownIds, embedding: Tensor) -> Tensor:
        """log p(n | codes of the whole text), (B, max_len + 1).

        From sums over the codes, and how many codes and words there are: a mean would not know how
        much must be said.
        """
        used = (shown.codes != NONE)[..., None]
        first = used & (shown.order == 0)[..., None]
        copied = used & (shown.words >= 0)[..., None]
        bag = (self.bag(shown.codes) * first).sum(1)
        words = (self.bag_words(F.embedding(shown.words.clamp(min=0), embedding)) * copied).sum(1)
        counts = torch.cat([first.sum(1), copied.sum(1)], dim=-1).to(bag.dtype) / 8
        return F.log_softmax(self.lengths(torch.cat([bag, words, counts], -1)).float(), dim=-1)
