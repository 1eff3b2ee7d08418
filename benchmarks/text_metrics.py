"""The metrics of `dlm_core.evaluation` under the names that the benchmarks use."""

from __future__ import annotations

from dlm_core.evaluation.markdown import table
from dlm_core.evaluation.overlap import novelty, verbatim_share
from dlm_core.evaluation.variety import (
    distinct_n,
    distinct_share,
    self_bleu,
    self_bleu_scores,
    unk_share,
)

__all__ = [
    "distinct_n",
    "distinct_share",
    "novelty",
    "self_bleu",
    "self_bleu_scores",
    "table",
    "unk_share",
    "verbatim_share",
]
