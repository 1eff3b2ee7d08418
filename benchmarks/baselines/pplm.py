"""PPLM (Dathathri et al. 2020): before each word, gradient steps on the AR base's activations.

The keys and values of what was read are moved by delta, so that the next word's hidden state looks
more like texts with the fact:  maximise  log p(c | mean hidden state) - 0.01 KL(p_delta || p).
The next word is drawn from p_delta^0.95 p^0.05, the 10 likeliest of it. The classifier sees a mean,
so it knows no positions: semantic content alone (§6.3).

Shapes: B texts, i words, V vocabulary, H hidden width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GPT2LMHeadModel
from transformers.cache_utils import DynamicCache

from benchmarks.baselines.base import System, only
from benchmarks.baselines.lab import BASE_SEED, Lab
from benchmarks.baselines.words import NextWord, WordLM, draw, no_marks, texts_of
from dlm_core.control.compose import Controls
from dlm_core.training.data import collate

LR, KL, GAMMA, FUSED, TOP = 0.04, 0.01, 1.5, 0.95, 10
Past = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer, (B, heads, i, width)."""


def ascend(
    at: Sequence[Tensor],
    objective: Callable[[Sequence[Tensor]], Tensor],
    steps: int,
    lr: float = LR,
    gamma: float = GAMMA,
) -> list[Tensor]:
    """Gradient ascent on what is added to `at`: delta += lr * g / |g|^gamma, a norm a text.

    Args:
        at: tensors (B, ...).
        objective: (B,) of the moved tensors.
    """
    delta = [torch.zeros_like(x) for x in at]
    for _ in range(steps):
        leaves = [d.detach().requires_grad_() for d in delta]
        with torch.enable_grad():
            value = objective([x + d for x, d in zip(at, leaves, strict=True)]).sum()
            found = torch.autograd.grad(value, leaves)
        for k, g in enumerate(found):
            norm = g.flatten(1).norm(dim=1).clamp(min=1e-15).view(-1, *[1] * (g.dim() - 1))
            delta[k] = delta[k] + lr * g / norm**gamma
    return [x + d for x, d in zip(at, delta, strict=True)]


def fused(moved: Tensor, plain: Tensor, share: float = FUSED, top: int = TOP) -> Tensor:
    """log of moved^share plain^(1 - share) over its `top` words, normalised, (B, V)."""
    log_p = torch.where(plain.isinf(), plain, share * moved + (1 - share) * plain)
    least = log_p.topk(min(top, log_p.shape[1])).values[:, -1:]
    return F.log_softmax(log_p.masked_fill(log_p < least, -torch.inf), -1)


@dataclass(frozen=True, eq=False)
class Steered:
    """The AR base whose activations climb log p(c | mean hidden state).

    Attributes:
        log_prob: (B, H) mean hidden states -> (B,).
        steps: a word.
        kl: weight of the divergence from the base.
    """

    lm: WordLM
    log_prob: Callable[[Tensor], Tensor]
    steps: int
    kl: float = KL
    lr: float = LR

    def __call__(self, words: Tensor) -> Tensor:
        """log p of the next word, (B, V)."""
        vocab, model = self.lm.vocab, self.lm.model
        start = torch.full((len(words), 1), vocab.start)
        ids = torch.cat([start, words], 1)
        with torch.no_grad():
            plain = self._log_p(model.lm_head(self._hidden(ids)[:, -1]), words)
        if not words.shape[1]:  # nothing was read that could be moved
            return fused(plain, plain)
        with torch.no_grad():
            read = model.transformer(input_ids=ids[:, :-1], use_cache=True)
        possible = plain[0].isfinite()
        past = [x for layer in _layers(read.past_key_values) for x in layer]
        so_far = read.last_hidden_state.sum(1)
        last = ids[:, -1:]

        def objective(moved: Sequence[Tensor]) -> Tensor:
            here = model.transformer(input_ids=last, past_key_values=_cache(moved), use_cache=True)
            log_p = self._log_p(model.lm_head(here.last_hidden_state[:, -1]), words)
            expected = log_p.exp() @ model.transformer.wte.weight[: len(vocab)]
            ahead = model.transformer(
                inputs_embeds=expected[:, None], past_key_values=here.past_key_values
            ).last_hidden_state[:, 0]
            mean = (so_far + here.last_hidden_state[:, 0] + ahead) / (ids.shape[1] + 1)
            there = log_p[:, possible]
            gap = (there.exp() * (there - plain[:, possible])).sum(-1)
            return self.log_prob(mean) - self.kl * gap

        moved = ascend(past, objective, self.steps, self.lr)
        with torch.no_grad():
            out = model.transformer(input_ids=last, past_key_values=_cache(moved))
            steered = self._log_p(model.lm_head(out.last_hidden_state[:, -1]), words)
        return fused(steered, plain)

    def _hidden(self, ids: Tensor) -> Tensor:
        return self.lm.model.transformer(input_ids=ids, use_cache=False).last_hidden_state

    def _log_p(self, logits: Tensor, words: Tensor) -> Tensor:
        vocab = self.lm.vocab
        return F.log_softmax(no_marks(logits[:, : len(vocab)], vocab, words.shape[1]), -1)


def _layers(cache: DynamicCache) -> Past:
    return [(layer.keys, layer.values) for layer in cache.layers]


def _cache(flat: Sequence[Tensor]) -> DynamicCache:
    return DynamicCache(list(zip(flat[::2], flat[1::2], strict=True)))


def mean_states(model: GPT2LMHeadModel, start: int, pad: int, rows: Sequence[list[int]]) -> Tensor:
    """Mean hidden state of START and the words of each text, (B, H)."""
    found = []
    with torch.no_grad():
        for k in range(0, len(rows), 64):
            tokens, lengths = collate([[start, *row] for row in rows[k : k + 64]], pad)
            states = model.transformer(input_ids=tokens, use_cache=False).last_hidden_state
            real = (torch.arange(tokens.shape[1]) < lengths[:, None])[..., None]
            found.append((states * real).sum(1) / lengths[:, None])
    return torch.cat(found)


@dataclass(frozen=True, eq=False)
class PPLM(System):
    """One linear classifier of all facts, on mean hidden states."""

    lab: Lab
    heads: dict[str, tuple[nn.Linear, dict[str, int]]] = field(default_factory=dict)
    kinds: ClassVar[frozenset[str]] = frozenset({"semantic"})
    slow: ClassVar[bool] = True

    def prepare(self, asked: Sequence[Controls]) -> None:
        """Train the classifier."""
        if self.heads:
            return
        texts, controls = self.lab.labelled("semantic")
        condition, base = self.lab.condition("semantic"), self.lab.base
        named = [{condition.event(spec, 0)[0] for spec in specs} for specs in controls]
        places = {name: k for k, name in enumerate(sorted(set().union(*named)))}
        truth = torch.zeros(len(texts), len(places))
        for row, names in enumerate(named):
            truth[row, [places[name] for name in names]] = 1.0
        rows = [[base.vocab.id(word) for word in words] for words in texts]
        states = mean_states(base.model, base.vocab.start, base.vocab.pad, rows)
        torch.manual_seed(BASE_SEED)
        head = nn.Linear(states.shape[1], len(places))
        optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
        for _ in range(300):
            loss = F.binary_cross_entropy_with_logits(head(states), truth)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        self.heads["semantic"] = head.requires_grad_(False), places

    def generate(self, controls: Controls, n: int, seed: int) -> list[str]:
        """As `System`."""
        self.prepare([controls])
        head, places = self.heads["semantic"]
        place = places[self.lab.condition("semantic").event(only(controls), 0)[0]]
        base = self.lab.base
        steered: NextWord = Steered(
            base, lambda state: F.logsigmoid(head(state)[:, place]), self.lab.training.pplm_steps
        )
        return texts_of(draw(steered, range(seed, seed + n), base.vocab.end), base.vocab)


SYSTEMS = {"PPLM": PPLM}
