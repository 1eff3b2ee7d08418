"""`posterior` guidance: the rounding distribution is conditioned before the step is taken.

The leaf is the rounding distribution q_i(w) of x_0_hat. For log p(c) multilinear in q, the exact
posterior marginals are  p(w_i = w | c) = q_i(w) + d log p(c) / d logit_i(w),  so that one backward
pass through the control alone, none through the denoiser, conditions the step (`Guard.tilt`).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from dlm_core.control.state import State
from dlm_core.guidance.guard import GuidedRows


def tilt(state: State, groups: Sequence[GuidedRows]) -> Tensor:
    """Condition the rounding distribution on every control, one after the other: (B, L, V).

    Exact for position-wise controls; a sentence-wise one is exact given those before it.
    """
    log_q = state.token_log_probs
    out = log_q.clone()
    for group in groups:
        part = state.rows(group.rows)
        for guard in group.ordered():
            part = part.with_log_probs(guard.tilt(part))
        out[group.rows] = part.token_log_probs
    return out
