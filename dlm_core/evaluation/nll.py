"""The bound on a model's negative log-likelihood of texts, in nats a token (paper §7.3, Table 7).

A token is a word or the END of its text, as for the teacher, so that the two can be compared. Where
a model draws the length first (`length_mode` prior), -log p(n) stands for END; a padded model pays
for START, END and PAD itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlm_core.bundle import Model
from dlm_core.diffusion.bound import bound
from dlm_core.diffusion.noise import PerSampleNoise
from dlm_core.diffusion.surroundings import usual_torch
from dlm_core.errors import UsageError
from dlm_core.evaluation.figures import Figure, Units
from dlm_core.training.data import collate, count_words, layout
from dlm_core.version import VERSION

BATCH = 32
BINS = 10
"""Stretches of t in which the steps' nats are told."""


@dataclass(frozen=True)
class Likelihood:
    """What a model makes of texts.

    Attributes:
        figures: nats a token: `nll` and its parts `prior`, `steps`, `embedding`, `rounding` and, of
            a model with a length prior, `length`.
        by_time: (t from, t to, nats a token) of the steps between.
        texts: how many were measured.
        tokens: words and ENDs of these.
        left_out: texts that are empty or do not fit into the model.
        unk: share of the words that the model does not know.
        signature: what the figures depend on.
    """

    figures: list[Figure]
    by_time: list[tuple[float, float, float]]
    texts: int
    tokens: int
    left_out: int
    unk: float
    signature: str

    @property
    def nll(self) -> float:
        """The bound, nats a token over all texts."""
        return self.figures[0].value


@usual_torch()
def likelihood(
    model: Model,
    texts: Sequence[str],
    draws: int = 32,
    seed: int = 0,
    self_condition: bool = False,
    on_text: Callable[[int], None] = lambda count: None,
) -> Likelihood:
    """Estimate the bound L_vlb^e2e of each text (§4.1, App. E), and of all.

    Args:
        model: any bundle.
        texts: tokenised.
        draws: times that are looked at a text; more make the estimate steadier.
        seed: of text i it is seed + i: a text's figure does not depend on the others.
        self_condition: the net is asked once more with its own answer.
        on_text: is told how many texts are done.

    Raises:
        UsageError: no text fits into the model.
    """
    config, vocab = model.net.config, model.vocab
    encoded = vocab.encode_batch(texts)
    laid = ((k, layout(ids, config, vocab)) for k, ids in enumerate(encoded))
    kept = {
        k: ids for k, ids in laid if ids is not None and 0 < len(encoded[k]) <= model.info.max_words
    }
    if not kept:
        raise UsageError(f"no text has 1 to {model.info.max_words} words, as the model's have")
    counts = {k: len(texts[k].split()) for k in kept}
    nats, in_bins = _bounds(model, kept, draws, seed, self_condition, on_text)
    names = ["nll", "prior", "steps", "embedding", "rounding"]
    if config.length_mode == "prior":
        names.append("length")
        positions = [count_words(ids, config, vocab) for ids in kept.values()]
        for k, length in zip(kept, _length_nats(model, positions), strict=True):
            nats[k] = [nats[k][0] + length, *nats[k][1:], length]
    units = Units.of([""] * len(kept))
    figures = [
        units.figure(name, "nats", [(nats[k][j], counts[k] + 1.0) for k in kept])
        for j, name in enumerate(names)
    ]
    tokens = sum(counts.values()) + len(kept)
    edges = np.linspace(0, 1, BINS + 1)
    return Likelihood(
        figures,
        [(lo, hi, v / tokens) for lo, hi, v in zip(edges[:-1], edges[1:], in_bins, strict=True)],
        len(kept),
        tokens,
        len(texts) - len(kept),
        sum(ids.count(vocab.unk) for ids in kept.values()) / sum(counts.values()),
        f"dlm:{VERSION}|model:{model.info.sha256[:8]}|steps:{config.train_steps}|draws:{draws}|"
        f"self-conditioned:{'yes' if self_condition else 'no'}|seed:{seed}|tokens:words+END",
    )


def _bounds(
    model: Model,
    kept: Mapping[int, Sequence[int]],
    draws: int,
    seed: int,
    self_condition: bool,
    on_text: Callable[[int], None],
) -> tuple[dict[int, list[float]], NDArray[np.float64]]:
    """Of each text by its place the total and its parts, in nats; the steps' sums by their time."""
    config = model.net.config
    found: dict[int, list[float]] = {}
    in_bins = np.zeros(BINS)
    order = sorted(kept, key=lambda k: len(kept[k]))
    for start in range(0, len(order), BATCH):
        places = order[start : start + BATCH]
        sequences = [kept[k] for k in places]
        tokens, lengths = (x.to(model.device) for x in collate(sequences, model.vocab.pad))
        normals = PerSampleNoise([seed + k for k in places], "nll", model.device)

        def noise(normals: PerSampleNoise = normals, width: int = tokens.shape[1]) -> Tensor:
            return normals.normal(config.max_len, config.embedding_dim)[:, :width]

        uniform = normals.uniform(draws)
        b = bound(model.net, tokens, lengths, noise, uniform, self_condition)
        parts = torch.stack([b.total, b.prior, b.steps.sum(-1), b.embedding, b.rounding], dim=1)
        found.update(zip(places, parts.tolist(), strict=True))
        bins = (b.times.numpy() * BINS).astype(int).clip(max=BINS - 1)
        np.add.at(in_bins, bins.ravel(), b.steps.cpu().numpy().ravel())
        on_text(len(places))
    return found, in_bins


def _length_nats(model: Model, counts: Sequence[int]) -> list[float]:
    """-log p(n), n as often as in training and once more, so that none has p = 0."""
    seen = model.net.length_counts.double().cpu().numpy()[1:] + 1.0
    nats = -np.log(seen / seen.sum())
    return [float(nats[n - 1]) for n in counts]
