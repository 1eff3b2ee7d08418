"""One random generator a sample: sample i depends on its own seed and never on its batch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_ON_CPU: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
"""Whatever the caller's defaults are."""


class PerSampleNoise:
    """Draws for a batch, row i from a generator of its own.

    Args:
        seeds: one a sample.
        stream: keeps independent uses of one seed apart ("sampler", a control's name, ...).
        device: where the draws are moved; they are always made on the CPU.
    """

    def __init__(
        self, seeds: Sequence[int], stream: str = "sampler", device: torch.device | str = "cpu"
    ) -> None:
        self.seeds = tuple(seeds)
        self.device = device
        self._generators = [_generator(seed, stream) for seed in seeds]

    def normal(self, *shape: int) -> Tensor:
        """Standard normals, (B, *shape)."""
        rows = [torch.randn(shape, generator=g, **_ON_CPU) for g in self._generators]
        return torch.stack(rows).to(self.device)

    def uniform(self, *shape: int) -> Tensor:
        """Uniforms in (0, 1), (B, *shape)."""
        rows = [torch.rand(shape, generator=g, **_ON_CPU) for g in self._generators]
        return torch.stack(rows).clamp(1e-7, 1 - 1e-7).to(self.device)

    def gumbel(self, *shape: int) -> Tensor:
        """Standard Gumbels, (B, *shape): argmax(log p + gumbel) draws from p."""
        return -torch.log(-torch.log(self.uniform(*shape)))


def _generator(seed: int, stream: str) -> torch.Generator:
    digest = hashlib.blake2b(f"{stream}:{seed}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
