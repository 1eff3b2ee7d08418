"""Several processes of one training, and the arithmetic a device is good at."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass
class Parallel:
    """The process group of `accelerate launch`, or one process."""

    rank: int = 0
    world: int = 1
    accelerator: Any = None

    @classmethod
    def detect(cls, device: torch.device) -> Parallel:
        """The group this process is in."""
        if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
            return cls()
        from accelerate import Accelerator

        accelerator = Accelerator(cpu=device.type == "cpu")
        return cls(accelerator.process_index, accelerator.num_processes, accelerator)

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model as the group trains it."""
        if self.accelerator is None:
            return model
        return self.accelerator.prepare_model(model)  # type: ignore[no-any-return]

    def any(self, flag: bool) -> bool:
        """True on every process if it is on one, so that all stop at the same step."""
        if self.accelerator is None:
            return flag
        flags = self.accelerator.gather(torch.tensor([flag], device=self.accelerator.device))
        return bool(flags.any())

    def gather(self, x: Tensor, total: int) -> Tensor:
        """Rows of all ranks (rank r holds r::world of `total`), in their order."""
        if self.accelerator is None:
            return x
        size = -(-total // self.world)
        padded = torch.cat([x, x.new_zeros(size - len(x))])
        rows = self.accelerator.gather(padded).view(self.world, size)
        return rows.T.reshape(-1)[:total]  # type: ignore[no-any-return]


def resolve_precision(precision: str, device: torch.device | str) -> str:
    """`auto` as bf16 or fp32: without bf16 instructions a CPU is 100 times slower in it."""
    if precision != "auto":
        return precision
    if torch.device(device).type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    capabilities = torch.cpu.get_capabilities()
    return "bf16" if capabilities.get("avx512_bf16") or capabilities.get("bf16") else "fp32"
