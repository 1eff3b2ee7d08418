"""Training of the head of `tree` and `span` on an oracle's parses."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dlm_controls.heads.words_given import IGNORED, Seen, WordsTraining
from dlm_controls.tree.bracketing import ROOTS, Bracket, ParseTree
from dlm_controls.tree.chart import NOTHING, Head, new_head
from dlm_core.heads import write_head
from dlm_core.training.data import LengthBatches
from dlm_core.training.heads import fit
from dlm_core.training.seeds import seeded

if TYPE_CHECKING:
    from dlm_core.bundle import Model

MIN_COUNT = 5
"""Rarer chains are not labels of their own."""
SPANS = 0.5
"""Share of the texts of whose tree one bracket is shown."""


def train_head(
    model: Model,
    trees: Sequence[ParseTree],
    out: Path,
    *,
    steps: int = 3200,
    batch_tokens: int = 1024,
    lr: float = 2e-3,
    seed: int = 0,
    on_step: Callable[[int, int, float], None] | None = None,
) -> dict[str, float]:
    """Train chart, words and lengths on parses and write `out`; the last 2% are held out.

    Every other step sees x_t after a step of the sampler, through words that q and the tree picked
    (`WordsTraining.stepped`).

    Args:
        model: gives words, noise and the rounding distributions; it stays as it is.
        trees: parses of texts, in any order.
        out: folder for head.safetensors and config.json.
        on_step: called with step, steps and loss.

    Returns:
        held-out cross-entropy of the words (nats) by the denoiser alone and with their tree at
        t = 0.7, and F1 of the chart's likeliest labels at t = 0.05, 0.5 and 0.9.
    """
    labels = (NOTHING, *_common("::".join(c) for tree in trees for c in tree.chains().values()))
    with seeded(seed, model.device):
        head = new_head(len(model.vocab), labels, model.info.config.max_len)
        for module in head.modules.values():
            module.to(model.device)
        parses = [_parse(tree, head, model) for tree in trees]
        held = max(1, len(trees) // 50)
        loss = _batch_loss(model, head, parses[:-held], batch_tokens, seed)
        nets = [head.chart, head.words]
        fit(nets, loss, steps, lr=lr, warmup=100, beta2=0.99, fast=True, on_step=on_step)
        _train_lengths(model, head, parses[:-held], seed)
    figures = _figures(model, head, parses[-held:])
    weights = {
        f"{name}.{k}": v
        for name, module in head.modules.items()
        for k, v in module.state_dict().items()
    }
    config: dict[str, Any] = {"labels": labels, "figures": figures, "steps": steps, "seed": seed}
    write_head(model, out, weights, config | {"trees": len(trees)})
    return figures


def _batch_loss(
    model: Model, head: Head, parses: Sequence[_Parse], batch_tokens: int, seed: int
) -> Callable[[int], Tensor]:
    """The loss of a step; every other step goes on from what the last one saw."""
    batches = LengthBatches(parses, batch_tokens, seed)
    training = _Training(model, head, seed)

    def loss(step: int) -> Tensor:
        if step % 2:
            return training.words.loss(training.words.stepped(training.seen))
        batch: Any = batches[step // 2]
        seen = training.noised(batch)
        return training.words.loss(seen) + training.chart_loss(seen)

    return loss


class _Parse(list[int]):
    """Word ids, with label ids of the constituents by place, the brackets and their codes."""

    def __init__(
        self,
        words: Iterable[int],
        labels: dict[tuple[int, int], int],
        brackets: list[Bracket],
        codes: Tensor,
    ) -> None:
        super().__init__(words)
        self.labels, self.brackets, self.codes = labels, brackets, codes


def _parse(tree: ParseTree, head: Head, model: Model) -> _Parse:
    ids = {label: k for k, label in enumerate(head.chart.labels)}
    return _Parse(
        [model.vocab.id(w) for w in tree.words],
        {place: ids.get("::".join(c), IGNORED) for place, c in tree.chains().items()},
        [b for b in tree.brackets if b.label not in ROOTS],
        head.codes(tree.brackets, len(tree.words)),
    )


def _common(values: Iterable[str]) -> list[str]:
    """Those that occur `MIN_COUNT` times, most frequent first; all if none does."""
    counts = Counter(values).most_common()
    return [v for v, n in counts if n >= MIN_COUNT] or [v for v, _ in counts]


class _Training:
    """Draws what is shown of a tree, and the chart's loss."""

    seen: Seen
    labels: Tensor
    """(B, E), of every span of what was seen last."""

    def __init__(self, model: Model, head: Head, seed: int, *, spans: float = SPANS) -> None:
        self.model, self.head, self.spans = model, head, spans
        self.words = WordsTraining(model, head.words, seed)
        self.random = random.Random(seed)

    def noised(self, batch: Sequence[_Parse], t: float | None = None) -> Seen:
        """Texts at one t or at all, each with its tree or a span of it."""
        width = max(len(parse) for parse in batch)
        labels = torch.full((len(batch), width, width), IGNORED)
        codes = self.head.codes([], width).repeat(len(batch), 1, 1)
        for k, parse in enumerate(batch):
            n = len(parse)
            labels[k, :n, :n] = 0
            for (i, j), label in parse.labels.items():
                labels[k, i, j] = label
            codes[k, :n] = parse.codes
            if parse.brackets and self.random.random() < self.spans:
                codes[k, :n] = self.head.codes([self._one(parse.brackets)], n, partial=True)
        starts, ends = torch.triu_indices(width, width)
        self.labels = labels[:, starts, ends].to(self.model.device)
        self.seen = self.words.noised(batch, codes, t)
        return self.seen

    def _one(self, brackets: Sequence[Bracket]) -> Bracket:
        """A bracket; half of the time of a label drawn first, so that rare ones are seen."""
        if self.random.random() < 0.5:
            name = self.random.choice(sorted({b.label for b in brackets}))
            brackets = [b for b in brackets if b.label == name]
        return self.random.choice(brackets)

    def chart_loss(self, seen: Seen) -> Tensor:
        """Cross-entropy of the label of every span; their sum, a word."""
        # The words that guidance shows the chart are sharper than q: by how much is drawn.
        log_p = self._chart(seen, 1 + 2 * self.words.uniform(len(seen.t), 1, 1))
        flat = F.cross_entropy(
            log_p.flatten(0, 1), self.labels.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        return flat / seen.lengths.sum()

    def _chart(self, seen: Seen, sharper: Tensor | float) -> Tensor:
        width = seen.words.shape[1]
        starts, ends = torch.triu_indices(width, width, device=seen.t.device)
        q = F.softmax(seen.log_q * sharper, dim=-1)
        return self.head.chart(q, seen.t, seen.lengths, starts, ends)  # type: ignore[no-any-return]

    def chart_hits(self, seen: Seen) -> tuple[int, int, int]:
        """Labelled spans: right, found, in the trees."""
        best = self._chart(seen, 1.0).argmax(-1)
        right = (best == self.labels) & (best > 0)
        found = (best > 0) & (self.labels != IGNORED)
        return int(right.sum()), int(found.sum()), int((self.labels > 0).sum())


def _train_lengths(model: Model, head: Head, parses: Sequence[_Parse], seed: int) -> None:
    """p(n | span) of the constituents of the parses."""
    ids = {name: k for k, name in enumerate(head.codes.names, 1)}
    rows = torch.tensor(
        [(ids.get(b.label, 0), b.start, b.end, len(p)) for p in parses for b in p.brackets]
    )
    prior = (model.net.length_counts + 1e-6).log()
    generator = torch.Generator().manual_seed(seed)

    def loss(step: int) -> Tensor:
        label, start, end, n = (
            rows[torch.randint(len(rows), (2048,), generator=generator)].to(model.device).unbind(1)
        )
        return F.cross_entropy(prior + head.lengths(label, start, end), n)

    if len(rows):
        fit([head.lengths], loss, 400, lr=5e-3)


@torch.no_grad()
def _figures(model: Model, head: Head, parses: Sequence[_Parse]) -> dict[str, float]:
    batches = [parses[k : k + 16] for k in range(0, len(parses), 16)]
    figures: dict[str, float] = {}
    for t in (0.05, 0.5, 0.9):
        training = _Training(model, head, 0, spans=0.0)
        hits = [training.chart_hits(training.noised(batch, t)) for batch in batches]
        right, found, wanted = (sum(column) for column in zip(*hits, strict=True))
        figures[f"chart t={t:g}"] = round(2 * right / max(1, found + wanted), 4)
    training = _Training(model, head, 0, spans=0.0)
    seen = [training.noised(batch, 0.7) for batch in batches]
    for name, informed in (("words t=0.7", False), ("words t=0.7, tree", True)):
        losses = [float(training.words.loss(batch, informed)) for batch in seen]
        figures[name] = round(sum(losses) / len(losses), 4)
    return figures
