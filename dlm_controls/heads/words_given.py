"""A net that knows what words a condition is made of: the part of a head that writes.

It is shown a condition c (a tag a word, the constituents around it) and the rounding distribution
q, and learns from texts that meet c what stands where:

    p(w_i = w | c, x_t)  ~  q_i(w) exp d_i(w | c, q, t) ,

so that exp d_i(w) estimates p(c | w_i = w, x_t) / p(c | x_t), which is what `posterior` guidance
multiplies q by (Bayes' rule; §5.1 takes a gradient for it). It sees the whole condition and all of
q at once, so that the words it favours also fit each other.

Shapes: B batch, L positions, V vocabulary, S codes a position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlm_core.control.state import LOG_FLOOR
from dlm_core.diffusion.denoisers.transformer import Transformer
from dlm_core.diffusion.rounding import pick_words
from dlm_core.training.data import collate, layout

if TYPE_CHECKING:
    from dlm_core.bundle import Model

IGNORED = -100
NOTHING_SHOWN = 0
"""The code that says nothing; a position's codes are a set, so that it also fills up."""


class WordsGiven(nn.Module):
    """d(w | c, q, t).

    Args:
        vocab_size: V.
        codes: how many codes there are, `NOTHING_SHOWN` included.
        max_len: positions at most.
    """

    def __init__(
        self,
        vocab_size: int,
        codes: int,
        max_len: int,
        features: int = 64,
        hidden: int = 128,
        layers: int = 3,
    ) -> None:
        super().__init__()
        self.words = nn.Parameter(torch.randn(vocab_size, features))
        self.codes = nn.Embedding(codes, hidden, padding_idx=NOTHING_SHOWN)
        self.trunk = Transformer(features + hidden, vocab_size, hidden, layers, 4, max_len)
        with torch.no_grad():
            self.codes.weight[1:].normal_(std=0.3)
        nn.init.zeros_(self.trunk.outputs.weight)  # at first a condition says nothing
        nn.init.zeros_(self.trunk.outputs.bias)

    def forward(self, q: Tensor, codes: Tensor, t: Tensor, lengths: Tensor) -> Tensor:
        """d, (B, L, V), up to a constant a position.

        Args:
            q: (B, L, V), word probabilities.
            codes: (B or 1, L, S), what is shown of the condition.
            t: (B,).
            lengths: (B,).
        """
        shown = self.codes(codes).sum(-2).expand(len(q), -1, -1)  # (B, L, H)
        delta = self.trunk(torch.cat([q @ self.words, shown], dim=-1), t, lengths)
        return delta.float()  # type: ignore[no-any-return]


class Seen(NamedTuple):
    """Texts half made, as the denoiser sees them, and the condition each meets.

    Attributes:
        canvas, canvas_lengths: ids with what frames the words (`layout`), and positions.
        words, lengths: ids of the words alone, IGNORED where there is none to learn.
        codes: (B, L, S), what `WordsGiven` is shown.
        x_t, t: noise and its time.
        log_q: (B, L, V), of the words.
    """

    canvas: Tensor
    canvas_lengths: Tensor
    words: Tensor
    lengths: Tensor
    codes: Tensor
    x_t: Tensor
    t: Tensor
    log_q: Tensor


class WordsTraining:
    """Draws texts half made and takes the loss of a `WordsGiven`.

    Args:
        model: gives words, noise and the rounding distributions; it stays as it is.
        net: what is trained.
        seed: of all draws.
    """

    def __init__(self, model: Model, net: WordsGiven, seed: int) -> None:
        self.model, self.net = model, net
        self.draws = torch.Generator().manual_seed(seed)
        self.offset = int(model.info.config.length_mode == "padded")

    def uniform(self, *shape: int) -> Tensor:
        """Uniform draws on the model's device."""
        return torch.rand(shape, generator=self.draws).to(self.model.device)

    def _normal(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.draws).to(like)

    @torch.no_grad()
    def noised(self, texts: Sequence[Sequence[int]], codes: Tensor, t: float | None = None) -> Seen:
        """x_t ~ q(x_t | words), at one t or, more often than not, where there is much noise."""
        vocab, device, diffusion = self.model.vocab, self.model.device, self.model.net
        frames = [layout(text, self.model.info.config, vocab) or [] for text in texts]
        canvas, canvas_lengths = (v.to(device) for v in collate(frames, vocab.pad))
        words, lengths = (v.to(device) for v in collate(texts, IGNORED))
        words = torch.where(words == vocab.unk, IGNORED, words)
        times = self.uniform(len(texts)) ** 0.6 if t is None else torch.full((len(texts),), t)
        times = times.to(device)
        x_0 = diffusion.embed(canvas)
        x_t = diffusion.schedule.q_sample(x_0, times, self._normal(x_0))
        log_q = self._predict(x_t, times, canvas_lengths, None, words.shape[1])
        return Seen(canvas, canvas_lengths, words, lengths, codes.to(device), x_t, times, log_q)

    @torch.no_grad()
    def stepped(self, seen: Seen) -> Seen:
        """x_s after a step of the sampler from x_t, through words that q and the condition pick.

        So the net learns to put right what guidance has got wrong.
        """
        diffusion = self.model.net
        width = seen.words.shape[1]
        window = slice(self.offset, self.offset + width)
        guided = F.log_softmax(seen.log_q + self._delta(seen), dim=-1)
        picked = pick_words(guided, self.uniform(*seen.words.shape), 1.0)
        real = torch.arange(width, device=picked.device) < seen.lengths[:, None]
        canvas = seen.canvas.clone()
        canvas[:, window] = torch.where(real, picked, canvas[:, window])
        s = (seen.t - 0.3 * self.uniform(len(seen.t))).clamp(min=1e-3)
        t = torch.maximum(seen.t, s + 1e-3)
        mean, var = diffusion.schedule.q_posterior(diffusion.embed(canvas), seen.x_t, t, s)
        x_s = mean + var.clamp(min=0).sqrt() * self._normal(mean)
        previous = diffusion.embed(canvas)
        sharp = F.softmax(guided / 0.7, dim=-1) @ diffusion.embedding_matrix
        previous[:, window] = torch.where(real[..., None], sharp, previous[:, window])
        log_q = self._predict(x_s, s, seen.canvas_lengths, previous, width)
        return seen._replace(x_t=x_s, t=s, log_q=log_q)

    def _predict(
        self, x_t: Tensor, t: Tensor, lengths: Tensor, previous: Tensor | None, width: int
    ) -> Tensor:
        """log q of the words alone, (B, L, V), as a control sees it."""
        vocab = self.model.vocab
        log_q = self.model.net.predict(x_t, t, lengths, previous).token_log_probs.clone()
        log_q[..., [vocab.unk, vocab.start, vocab.end, vocab.pad]] = -torch.inf
        log_q = log_q[:, self.offset : self.offset + width]
        return F.log_softmax(log_q, dim=-1).clamp(min=LOG_FLOOR)

    def _delta(self, seen: Seen) -> Tensor:
        return self.net(seen.log_q.exp(), seen.codes, seen.t, seen.lengths)  # type: ignore[no-any-return]

    def loss(self, seen: Seen, informed: bool = True) -> Tensor:
        """Cross-entropy of the words: of q alone, or as the condition tilts it."""
        logits = seen.log_q + self._delta(seen) if informed else seen.log_q
        return F.cross_entropy(logits.flatten(0, 1), seen.words.flatten(), ignore_index=IGNORED)
