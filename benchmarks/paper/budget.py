"""How much of a table is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.baselines.lab import Training


@dataclass(frozen=True)
class Budget:
    """Targets a task, texts a target, and how long the baselines are trained.

    Attributes:
        name: of the budget.
        targets, samples: of each task.
        slow_targets, slow_samples: the same for systems of minutes a text, a part of the targets.
        ablation_steps, ablation_texts: of each net of the ablations, and its free texts.
        likelihood_steps, likelihood_size: of the diffusion over one-hot words (Table 7).
        training: see `Training`.
    """

    name: str
    targets: int
    samples: int
    slow_targets: int
    slow_samples: int
    ablation_steps: int
    ablation_texts: int
    likelihood_steps: int
    likelihood_size: Mapping[str, int]
    training: Training


BUDGETS = {
    budget.name: budget
    for budget in (
        Budget(
            "quick", 10, 4, 4, 2, 400, 50, 1500, {"hidden": 128, "layers": 3},
            Training(
                base_steps=500, layers=2, width=128, tune_steps=600, discriminator_steps=250,
                texts=6000, trees=1000, pplm_steps=10, relaxed_steps=100,
            ),
        ),
        Budget(
            "hour", 20, 10, 10, 4, 2000, 200, 10_000, {"hidden": 192, "layers": 4},
            Training(
                base_steps=2000, layers=2, width=192, tune_steps=800, discriminator_steps=800,
                texts=12_000, trees=4000, pplm_steps=10, relaxed_steps=200,
            ),
        ),
        Budget(
            "full", 200, 50, 40, 10, 20_000, 500, 40_000, {"hidden": 256, "layers": 6}, Training()
        ),
    )
}  # fmt: skip
"""`quick` took 13 minutes with table 2 on two cores."""
