"""Our rows: the Diffusion-LM of the bundle with our guidance, and with the release's own loop.

The release (Li et al. 2022, §5.1, App. B; its code differs from the paper where `release` says so):
200 steps of the rebuilt sqrt schedule, three sign-gradient steps on x_{t-1} a step, none in the
last ten, clamping to the nearest word at every step, lr and fluency weight of Table 6; no writer,
no drafts, no corrections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import ClassVar

from benchmarks.baselines.base import Ask, System
from benchmarks.baselines.lab import Lab
from dlm_core.config import GuidanceConfig, SamplingConfig
from dlm_core.control.compose import Controls
from dlm_core.generation.generate import generate_batches
from dlm_core.generation.prepare import Request
from dlm_core.plugins.loading import load_plugins

BATCH = 50
RELEASE = SamplingConfig(
    steps=200, spacing="rebuilt", time_power=1.0, temperature=0.0,
    self_conditioning_temperature=1.0, drafts=1, corrections=0,
)  # fmt: skip


def write(
    lab: Lab, asks: Sequence[Ask], sampling: SamplingConfig, guidance: GuidanceConfig
) -> list[list[str]]:
    """Texts of all requests, walked in shared batches."""
    out: list[list[str]] = [[] for _ in asks]
    requests = [Request(*ask) for ask in asks]
    for batch in generate_batches(
        lab.model, requests, sampling=sampling, guidance=guidance, batch_size=BATCH, verify=False
    ):
        for owner, result in batch:
            out[owner].append(result.tokenised)
    return out


@dataclass(frozen=True, eq=False)
class Ours(System):
    """Defaults throughout."""

    lab: Lab
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    guidance: GuidanceConfig = field(default_factory=GuidanceConfig)
    composes: ClassVar[bool] = True

    def does(self, controls: Controls) -> bool:
        """Whatever dlm has a control for."""
        return {term.spec.kind for term in controls} <= load_plugins().controls.keys()

    def generate(self, controls: Controls, n: int, seed: int) -> list[str]:
        """As `System`."""
        return self.generate_all([Ask(controls, n, seed)])[0]

    def generate_all(self, asks: Sequence[Ask]) -> list[list[str]]:
        """As `System`, in shared batches."""
        return write(self.lab, asks, self.sampling, self.guidance)


@dataclass(frozen=True, eq=False)
class Release(System):
    """The release's loop on our net."""

    lab: Lab
    composes: ClassVar[bool] = True
    sized: ClassVar[bool] = True
    slow: ClassVar[bool] = True

    @property
    def kinds(self) -> frozenset[str]:  # type: ignore[override]
        """As `System`: what has a condition, which holds the settings."""
        return frozenset(self.lab.conditions)

    def guidance(self, controls: Controls) -> GuidanceConfig:
        """Table 6's lr and fluency weight; the mean over the kinds of a composition."""
        told = [self.lab.conditions[term.spec.kind] for term in controls] or [None]
        return GuidanceConfig(
            mode="paper", optimizer="sign", writer=False, guidance_steps=3, t_min=9.5 / 200,
            guidance_lr=fmean(c.lr if c else 0.1 for c in told),
            fluency=fmean(c.fluency if c else 0.01 for c in told),
        )  # fmt: skip

    def generate(self, controls: Controls, n: int, seed: int) -> list[str]:
        """As `System`."""
        return self.generate_all([Ask(controls, n, seed)])[0]

    def generate_all(self, asks: Sequence[Ask]) -> list[list[str]]:
        """As `System`; requests of the same settings share batches."""
        settings = [self.guidance(ask.controls) for ask in asks]
        out: list[list[str]] = [[] for _ in asks]
        for guidance in dict.fromkeys(map(repr, settings)):
            rows = [k for k, one in enumerate(settings) if repr(one) == guidance]
            made = write(self.lab, [asks[k] for k in rows], RELEASE, settings[rows[0]])
            for k, texts in zip(rows, made, strict=True):
                out[k] = texts
        return out


SYSTEMS = {"dlm": Ours, "release's loop": Release}
