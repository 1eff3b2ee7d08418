"""A noise-aware tagger of words in context: log p(label | word, surrounding latents).

The paper's classifiers read x_t whole, so that what they say of position i rests on the word that
stands there now. To *choose* a word one must ask of every candidate w "what would it be tagged
here?": this head keeps the two apart. Its context at i is a forward GRU over x_t before i and a
backward one after i, never i itself, and scores

    logit(k | w, i) = lexicon[w, k] + (P c_i * features[w]) . U_k + (Q c_i)_k .

Given the context, p(labels) = prod_i sum_w q_i(w) p(k_i | w, c_i) is multilinear in q: `posterior`
guidance conditions on it exactly. At high noise c_i says nothing and the lexicon decides.

Shapes: B batch, L positions, D word-vector width, V vocabulary, K labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlm_core.control.protocol import BuildContext
from dlm_core.control.state import State
from dlm_core.diffusion.denoisers.transformer import sinusoid
from dlm_core.diffusion.surroundings import loading
from dlm_core.heads import broken, fill, read_labels, read_settings, write_head
from dlm_core.training.data import LengthBatches, collate
from dlm_core.training.heads import fit
from dlm_core.training.seeds import seeded
from dlm_core.training.times import stratified_times

if TYPE_CHECKING:
    from dlm_core.bundle import Model

CANDIDATES = 32
"""Words a position whose label is scored in context; the rest keep the lexicon's estimate."""


class WordTagger(nn.Module):
    """See the module docstring.

    Args:
        embedding_dim: D.
        vocab_size: V.
        labels: names of the K labels.
    """

    def __init__(
        self,
        embedding_dim: int,
        vocab_size: int,
        labels: Sequence[str],
        hidden: int = 128,
        rank: int = 48,
        time_width: int = 16,
    ) -> None:
        super().__init__()
        self.labels = tuple(labels)
        self.settings = {"hidden": hidden, "rank": rank, "time_width": time_width}
        self.time_width = time_width
        width = embedding_dim + time_width
        self.forward_gru = nn.GRU(width, hidden, batch_first=True)
        self.backward_gru = nn.GRU(width, hidden, batch_first=True)
        self.lexicon = nn.Parameter(torch.zeros(vocab_size, len(labels)))
        self.features = nn.Parameter(torch.randn(vocab_size, rank) * 0.1)
        self.mix = nn.Linear(2 * hidden, rank)
        self.out = nn.Linear(rank, len(labels), bias=False)
        self.context_bias = nn.Linear(2 * hidden, len(labels))

    def context(self, x_t: Tensor, t: Tensor, lengths: Tensor) -> Tensor:
        """What surrounds each position: x_t (B, L, D), t (B,), lengths (B,) -> (B, L, 2 H)."""
        batch, length, _ = x_t.shape
        time = sinusoid(t, self.time_width)[:, None].expand(batch, length, -1)
        position = torch.arange(length, device=x_t.device)
        mask = (position < lengths[:, None])[..., None]
        x = torch.cat([x_t, time], dim=-1) * mask  # (B, L, D + time)
        zero = x.new_zeros(batch, 1, x.shape[-1])
        before = self.forward_gru(torch.cat([zero, x[:, :-1]], dim=1))[0]  # sees 0 .. i-1
        # Reversed within each text, so that the backward pass starts at its last word.
        flip = (lengths[:, None] - 1 - position).clamp(min=0)[..., None]  # (B, L, 1)
        y = torch.cat([x, zero], dim=1).gather(1, flip.expand(-1, -1, x.shape[-1]))
        after = self.backward_gru(torch.cat([zero, y[:, :-1]], dim=1))[0]
        after = after.gather(1, flip.expand(-1, -1, after.shape[-1]))  # sees i+1 .. n-1
        return torch.cat([before, after], dim=-1)

    def context_of(self, state: State) -> Tensor:
        """The context in a state, computed once a step for all controls with this tagger."""
        return state.shared(self, lambda: self.context(state.x_t, state.t, state.lengths))

    def logits(self, context: Tensor, words: Tensor) -> Tensor:
        """context (B, L, 2 H), candidate words (B, L, C) -> label logits (B, L, C, K)."""
        mixed = self.mix(context)[:, :, None] * F.embedding(words, self.features)
        return (  # type: ignore[no-any-return]
            F.embedding(words, self.lexicon)
            + self.out(mixed)
            + self.context_bias(context)[:, :, None]
        )

    def lexicon_log_probs(self) -> Tensor:
        """log p(k | w) without context, (V, K)."""
        return F.log_softmax(self.lexicon, dim=-1)

    def lexicon_scores(self, labels: Tensor) -> Tensor:
        """log p(label_i | w) without context, (B, L) ids -> (B, L, V); 0 where a label is -1."""
        scores = self.lexicon_log_probs().T[labels.clamp(min=0)]
        return scores.masked_fill((labels < 0)[..., None], 0.0)

    def word_log_probs(self, state: State, labels: Tensor, log_q: Tensor) -> Tensor:
        """log p(label_i | w, context_i) for every word: (B, L, V).

        The words that are likeliest to end up at i (by log_q and the lexicon) are scored in
        context, all others by the lexicon.

        Args:
            state: gives x_t, t and lengths.
            labels: (B, L) ids; -1 asks nothing of a position (log p = 0).
            log_q: (B, L, V), the rounding distribution, detached.
        """
        wanted = labels.clamp(min=0)
        scores = self.lexicon_scores(labels)  # (B, L, V)
        top = (log_q + scores).topk(min(CANDIDATES, scores.shape[-1]), dim=-1).indices  # (B, L, C)
        context = self.context_of(state)
        log_probs = F.log_softmax(self.logits(context, top), dim=-1)  # (B, L, C, K)
        index = wanted[:, :, None, None].expand(*top.shape, 1)
        scores = scores.scatter(-1, top, log_probs.gather(-1, index).squeeze(-1))
        return scores.masked_fill((labels < 0)[..., None], 0.0)


def load_tagger(context: BuildContext, kind: str) -> WordTagger:
    """The tagger that `dlm train control KIND` stored in the bundle, frozen."""
    return context.head(kind, lambda: _load_tagger(context, kind))


@loading()
def _load_tagger(context: BuildContext, kind: str) -> WordTagger:
    folder, weights = context.head_weights(kind)
    info = context.info
    labels, settings = read_labels(folder, weights), read_settings(folder, weights, "settings")
    try:
        tagger = WordTagger(info.config.embedding_dim, len(info.vocab), labels, **settings)
    except (TypeError, ValueError, RuntimeError) as error:
        raise broken(folder, error) from error
    fill(tagger, weights, info, kind)
    return tagger.to(context.device).eval().requires_grad_(False)


def train_tagger(
    model: Model,
    texts: Sequence[Sequence[int]],
    tags: Sequence[Sequence[int]],
    labels: Sequence[str],
    out: Path,
    *,
    steps: int = 1500,
    batch_tokens: int = 2048,
    lr: float = 3e-3,
    seed: int = 0,
    on_step: Callable[[int, int, float], None] | None = None,
    extra: dict[str, Any] | None = None,
) -> dict[str, float]:
    """Train on q(x_t | w) at all t and write `out`; the last 2% of the texts are held out.

    Args:
        model: gives word vectors and the noise schedule; both stay as they are.
        texts: word ids.
        tags: label ids, one a word.
        labels: label names.
        out: folder for head.safetensors and config.json.
        on_step: called with step, steps and loss.

    Returns:
        held-out accuracy of the lexicon alone and at t = 0.05 and t = 0.5, what the most frequent
        label alone would have, and how many words of each label were found at t = 0.05.
    """
    held = max(1, len(texts) // 50)
    with seeded(seed, model.device):
        tagger = WordTagger(model.info.config.embedding_dim, len(model.vocab), labels)
        _count(tagger, texts[:-held], tags[:-held])
        tagger.to(model.device)
        loss = _batch_loss(model, tagger, texts[:-held], tags[:-held], batch_tokens, seed)
        fit([tagger], loss, steps, lr=lr, on_step=on_step)
    figures = _accuracy(model, tagger, texts[-held:], tags[-held:])
    config: dict[str, Any] = {
        "labels": list(labels),
        "settings": tagger.settings,
        "figures": figures,
    }
    config |= {"steps": steps, "seed": seed, **(extra or {})}
    write_head(model, out, tagger.state_dict(), config)
    return figures


@torch.no_grad()
def _count(
    tagger: WordTagger, texts: Sequence[Sequence[int]], tags: Sequence[Sequence[int]]
) -> None:
    """The lexicon starts at smoothed counts."""
    counts = torch.full_like(tagger.lexicon, 0.1)
    for text, tag in zip(texts, tags, strict=True):
        counts.index_put_(
            (torch.tensor(text), torch.tensor(tag)), torch.ones(len(text)), accumulate=True
        )
    tagger.lexicon.copy_((counts / counts.sum(-1, keepdim=True)).log())


def _batch_loss(
    model: Model,
    tagger: WordTagger,
    texts: Sequence[Sequence[int]],
    tags: Sequence[Sequence[int]],
    batch_tokens: int,
    seed: int,
) -> Callable[[int], Tensor]:
    """The loss of a step."""
    packed = [list(zip(a, b, strict=True)) for a, b in zip(texts, tags, strict=True)]
    batches = LengthBatches(packed, batch_tokens, seed)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(seed)

    def loss(step: int) -> Tensor:
        rows: Any = batches[step]  # of (word, tag) pairs
        words, lengths = collate([[w for w, _ in row] for row in rows], model.vocab.pad)
        target, _ = collate([[k for _, k in row] for row in rows], -100)
        k = stratified_times(model.info.config.train_steps, len(rows), generator)
        t = k.float() / model.info.config.train_steps
        return _loss(model, tagger, words, target, lengths, t, generator)

    return loss


def _noised(model: Model, words: Tensor, t: Tensor, generator: torch.Generator) -> Tensor:
    """x_t ~ q(x_t | w), (B, L, D)."""
    net = model.net
    x_0 = net.embed(words)
    x_0 = x_0 + net.config.sigma_0 * torch.randn(x_0.shape, generator=generator).to(x_0)
    return net.schedule.q_sample(x_0, t, torch.randn(x_0.shape, generator=generator).to(x_0))


def _loss(
    model: Model,
    tagger: WordTagger,
    words: Tensor,
    target: Tensor,
    lengths: Tensor,
    t: Tensor,
    generator: torch.Generator,
) -> Tensor:
    words, target, lengths, t = (v.to(model.device) for v in (words, target, lengths, t))
    x_t = _noised(model, words, t, generator)
    logits = tagger.logits(tagger.context(x_t, t, lengths), words[..., None])[:, :, 0]
    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-100)


@torch.no_grad()
def _accuracy(
    model: Model, tagger: WordTagger, texts: Sequence[Sequence[int]], tags: Sequence[Sequence[int]]
) -> dict[str, float]:
    generator = torch.Generator().manual_seed(0)
    words, lengths = collate(texts, model.vocab.pad)
    target, _ = collate(tags, -100)
    words, target, lengths = (v.to(model.device) for v in (words, target, lengths))
    real = target >= 0
    lexicon = tagger.lexicon[words].argmax(-1)
    figures = {"lexicon": float((lexicon == target)[real].float().mean())}
    found = {}
    for value in (0.05, 0.5):
        t = torch.full((len(words),), value, device=model.device)
        x_t = _noised(model, words, t, generator)
        logits = tagger.logits(tagger.context(x_t, t, lengths), words[..., None])[:, :, 0]
        found[value] = logits.argmax(-1)
        figures[f"t={value:g}"] = float((found[value] == target)[real].float().mean())
    counts = torch.bincount(target[real])
    figures["most frequent label"] = float(counts.max() / counts.sum())
    for k in counts.nonzero()[:, 0].tolist():  # of those that occur
        figures[f"t=0.05, {tagger.labels[k]}"] = float(
            (found[0.05] == k)[target == k].float().mean()
        )
    return {k: round(v, 4) for k, v in figures.items()}
