"""Classifier-free guidance: the bundle's writer alone, without the exact tilts of the controls.

log q_i(w) = (1 + s) log q_i(w | codes) - s log q_i(w), normalised (Ho and Salimans 2022, on the
rounding distribution); no control steers, none rounds, nothing is corrected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.baselines.base import Ask, System
from benchmarks.baselines.lab import Lab
from dlm_core.config import GuidanceConfig, SamplingConfig
from dlm_core.control.compose import Controls
from dlm_core.diffusion.noise import PerSampleNoise
from dlm_core.diffusion.prediction import Prediction
from dlm_core.errors import MissingError
from dlm_core.generation.prepare import Request, prepare
from dlm_core.generation.walk import Sample, Walk, to_end
from dlm_core.generation.writer import load_writer
from dlm_core.plugins.loading import load_plugins

SCALE = 1.0
BATCH = 50
SAMPLING = SamplingConfig(temperature=1.0, drafts=1, corrections=0)


def guided(told: Tensor, free: Tensor, scale: float) -> Tensor:
    """log q with the codes, pushed away from log q without them."""
    return F.log_softmax((1 + scale) * told - scale * free, -1)


class WriterWalk(Walk):
    """A walk on which the writer is asked twice."""

    scale = SCALE

    def _ask(self, x_t: Tensor, t: Tensor) -> Prediction:
        assert self.writer is not None
        asked: tuple[Any, ...] = (x_t, t, self.lengths, self.previous)
        told, free = self.writer.net.predict(*asked, self.shown), self.writer.net.predict(*asked)
        log_q = guided(told.token_log_probs, free.token_log_probs, self.scale)
        return Prediction(log_q.exp() @ self.net.embedding_matrix, log_q)


@dataclass(frozen=True, eq=False)
class WriterAlone(System):
    """What controls show the writer is all that steers it."""

    lab: Lab
    scale: float = SCALE
    kinds: ClassVar[frozenset[str]] = frozenset({"semantic", "pos"})
    composes: ClassVar[bool] = True

    def generate(self, controls: Controls, n: int, seed: int) -> list[str]:
        """As `System`."""
        return self.generate_all([Ask(controls, n, seed)])[0]

    def generate_all(self, asks: Sequence[Ask]) -> list[list[str]]:
        """As `System`, in shared batches."""
        model = self.lab.model
        if (writer := load_writer(model)) is None:
            raise MissingError(f"the bundle {self.lab.model_name} has no writer")
        plugins = load_plugins()
        prepared = [prepare(model, Request(*ask), plugins) for ask in asks]
        alone = [replace(p, guards=(), joint=(), writer=writer) for p in prepared]
        samples = [
            Sample(owner, seed, _words(p.length_weights, seed))
            for owner, p in enumerate(prepared)
            for seed in range(p.request.seed, p.request.seed + p.request.n)
        ]
        out: list[list[str]] = [[] for _ in asks]
        for start in range(0, len(samples), BATCH):
            batch = samples[start : start + BATCH]
            walk = WriterWalk(model, alone, batch, SAMPLING, GuidanceConfig(), None)
            walk.scale = self.scale
            for sample, ids in zip(batch, walk.run().tolist(), strict=True):
                words = to_end(ids[: sample.words], model)
                out[sample.owner].append(model.vocab.decode(words))
        return out


def _words(weights: Tensor, seed: int) -> int:
    """A number of words drawn from `weights`."""
    sums = weights.cumsum(0)
    u = PerSampleNoise([seed], "length").uniform().double().item()
    return int(torch.searchsorted(sums, u * sums[-1], right=True))


SYSTEMS = {"writer alone": WriterAlone}
