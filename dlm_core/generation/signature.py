"""One line that names everything a text depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlm_core.bundle import Model
from dlm_core.config import (
    GuidanceConfig,
    SamplingConfig,
)
from dlm_core.control.compose import Controls
from dlm_core.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    StepCallback = Callable[[float, list[str]], None]
    """(t, texts of x_0_hat) after a step."""


def signature(
    model: Model,
    controls: Controls,
    sampling: SamplingConfig,
    guidance: GuidanceConfig,
    seed: int,
) -> str:
    """One line that names everything a text depends on."""
    parts = [
        f"dlm:{VERSION}",
        f"model:{model.info.sha256[:8]}",
        f"sampler:{sampling.sampler}",
        f"steps:{sampling.steps}",
    ]
    sampling_rest = sampling.model_dump(exclude={"sampler", "steps"}, exclude_defaults=True)
    parts += [f"{k}:{v}" for k, v in sampling_rest.items()]
    if controls.terms:
        parts.append(f"guidance:{guidance.mode}")
        rest = guidance.model_dump(exclude={"mode"}, exclude_defaults=True)
        parts += [f"{k}:{v}" for k, v in rest.items()]
    parts += [f"c:{term}" for term in controls.terms]
    return "|".join([*parts, f"seed:{seed}"])
