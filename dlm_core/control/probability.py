"""Arithmetic of log-probabilities."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def log1mexp(log_p: Tensor) -> Tensor:
    """log(1 - exp(log_p)) for log_p <= 0, exact at both ends; p is kept below 1 - 1e-7.

    The two forms are Mächler's (2012); each is evaluated only where it is used, for the gradient.
    """
    log_p = log_p.clamp(max=-1e-7)
    large = log_p > -math.log(2)  # p > 1/2
    near_one = torch.log(-torch.expm1(torch.where(large, log_p, -1.0)))
    near_zero = torch.log1p(-torch.exp(torch.where(large, -1.0, log_p)))
    return torch.where(large, near_one, near_zero)


def log_any(log_probs: Tensor, dim: int = -1) -> Tensor:
    """log(1 - prod(1 - p)): the probability that at least one independent event happens."""
    none = torch.log1p(-log_probs.exp().clamp(max=1 - 1e-7)).sum(dim)
    return torch.log(-torch.expm1(none).clamp(max=-1e-38))
