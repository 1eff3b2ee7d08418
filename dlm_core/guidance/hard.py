"""Hard constraints: words that stand from the start, and the choice of the last words."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dlm_core.control.protocol import SupportsFixed, SupportsRounding, SupportsSpelling
from dlm_core.guidance.guard import GuidedRows


def fixed_words(
    groups: Sequence[GuidedRows],
    lengths: Tensor,
    width: int,
    allowed: Tensor | None = None,
    unk: int = -1,
) -> Tensor:
    """Word ids every hard constraint asks for, (B, width), -1 where free.

    Args:
        groups: controls and their rows.
        lengths: (B,).
        width: places a text may have.
        allowed: (V,) bool, the words of the vocabulary that a text may have; any if omitted.
        unk: id of UNK, which a control may hold that spells it out at the end.

    Raises:
        PluginError: a control returned another shape, or what is no word.
    """
    out = torch.full((len(lengths), width), -1, device=lengths.device)
    for group in groups:
        for guard in group.guards:
            if isinstance(guard.control, SupportsFixed):
                may = allowed
                if may is not None and isinstance(guard.control, SupportsSpelling):
                    may = may | (torch.arange(len(may), device=may.device) == unk)
                ids = guard.fixed(guard.control, lengths[group.rows], width, may)
                out[group.rows] = torch.where(ids >= 0, ids, out[group.rows])
    return out


def round_words(log_q: Tensor, groups: Sequence[GuidedRows], lengths: Tensor) -> Tensor:
    """The likeliest words, (B, L), that meet the constraints on whole texts; argmax without them.

    Args:
        log_q: (B, L, V), -inf where a word must not stand.
        groups: controls and their rows.
        lengths: (B,).

    Raises:
        UnsatisfiableError: no text is left.
    """
    words = log_q.argmax(-1)
    for group in groups:
        for guard in group.ordered():
            if isinstance(guard.control, SupportsRounding):
                part = log_q[group.rows]
                words[group.rows] = guard.round(guard.control, part, lengths[group.rows])
    return words
