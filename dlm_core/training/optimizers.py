"""Optimisers of the Diffusion-LM and the course of their rates."""

from __future__ import annotations

import torch
from torch import nn

from dlm_core.config import TrainConfig


def make_optimizers(model: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """AdamW, or Muon on the matrices of the blocks beside AdamW on the rest."""
    blocks: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        in_block = ".blocks." in name or ".encoder.layer." in name  # of ours, of BERT
        is_matrix = in_block and name.endswith("weight") and parameter.ndim == 2
        (blocks if is_matrix else rest).append(parameter)
    if config.optimizer == "adamw":
        rest, blocks = rest + blocks, []
    adamw = torch.optim.AdamW(
        rest, lr=config.lr, betas=(0.9, 0.98), weight_decay=config.weight_decay
    )
    if not blocks:
        return [adamw]
    muon = torch.optim.Muon(blocks, lr=config.muon_lr, weight_decay=config.weight_decay)
    return [adamw, muon]


def lr_factor(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then linear decay to `final_lr_fraction`."""
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    left = 1.0 - step / config.max_steps
    return warm * max(config.final_lr_fraction, left)
