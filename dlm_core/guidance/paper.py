"""`paper` guidance (Li et al. 2022, §5.1): gradient steps on x_{t-1} itself.

The leaf is x_{t-1}: K Adagrad steps up  sum_k w_k log p(c_k | x_{t-1}) + lambda log p(x_{t-1} |
x_t), differentiated through whatever the controls read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dlm_core.config import GuidanceConfig
from dlm_core.control.state import State
from dlm_core.errors import PluginError
from dlm_core.guidance.guard import GuidedRows


def guide(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    make_state: Callable[[Tensor], State],
    groups: Sequence[GuidedRows],
    config: GuidanceConfig,
) -> Tensor:
    """K gradient steps on x_{t-1} (paper mode, §5.1).

    Maximises, for each sample, sum_k w_k log p(c_k | x) + fluency * log N(x; mean, var).

    Args:
        x: (B, L, D), drawn from N(mean, var).
        mean, var: of the step, (B, L, D) and (B, 1, 1).
        make_state: the state of a given x.
        groups: controls and their rows.
        config: K, rate, optimiser and fluency weight.
    """
    x = x.detach().clone()
    squares = torch.zeros_like(x)
    var = var.clamp(min=1e-8)
    steered = torch.zeros_like(x)  # rows without controls stay where they are
    for group in groups:
        steered[group.rows] = 1.0
    for _ in range(config.guidance_steps):
        with torch.enable_grad():
            leaf = x.clone().requires_grad_()
            state = make_state(leaf)
            total = torch.zeros((), device=x.device)
            for group in groups:
                part = state.rows(group.rows)
                for guard in group.guards:
                    total = total + guard.weight * guard.log_prob(part, needs_gradient=True).sum()
            # log N up to a constant; differentiating the batch sum keeps samples independent
            total = total - config.fluency * (steered * (leaf - mean).square() / (2 * var)).sum()
            (gradient,) = torch.autograd.grad(total, leaf)
        if not bool(gradient.isfinite().all()):
            labels = ", ".join(guard._name for group in groups for guard in group.guards)
            raise PluginError(f"the gradient at t={float(state.t[0]):.3f} is not finite: {labels}")
        if config.optimizer == "sign":
            step = gradient.sign()
        else:
            squares = squares + gradient.square()
            step = gradient / (squares.sqrt() + 1e-10)
        x = x + config.guidance_lr * step
    return x
