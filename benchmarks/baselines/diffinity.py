"""Diffinity (Kim et al. 2026, arXiv 2602.12468): the gradient of log P(decoded text is accepted).

A regular expression as a DFA, the words of x_0_hat drawn independently by the rounding
distribution q_i: P(accepted) is a forward pass over the DFA, exact, and its gradient with respect
to x_t, through the denoiser, moves each step. No constrained rounding: a text may fail.
The DFA is that of our own `pattern`; the loop is `paper` guidance with one step and no lambda.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from benchmarks.baselines.base import Ask, System
from benchmarks.baselines.diffusion import write
from benchmarks.baselines.lab import Lab
from dlm_controls.pattern.automaton import Automaton
from dlm_controls.pattern.control import PatternControl
from dlm_controls.pattern.language import WordAutomaton
from dlm_core.config import GuidanceConfig, SamplingConfig
from dlm_core.control.compose import Controls, ControlSpec, Term
from dlm_core.control.lengths import Lengths
from dlm_core.control.state import State
from dlm_core.control.verdict import Verdict

if TYPE_CHECKING:
    from dlm_core.bundle import ModelInfo
    from dlm_core.control.protocol import BuildContext, Control

SAMPLING = SamplingConfig(steps=50, temperature=1.0, drafts=1, corrections=0)
GUIDANCE = GuidanceConfig(
    mode="paper", writer=False, guidance_steps=1, guidance_lr=0.3, fluency=0.0
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Acceptance:
    """log P(accepted), and nothing else of what a pattern's control does."""

    exact: PatternControl

    def log_prob(self, state: State) -> Tensor:
        """(B,)."""
        return self.exact.log_prob(state)


class Accepted(ControlSpec):
    """A pattern that steers by its gradient alone."""

    kind: ClassVar[str] = "accepted"
    pattern: WordAutomaton

    def lengths(self, info: ModelInfo) -> Lengths:
        """The pattern's."""
        return self.pattern.lengths(info)

    def build(self, context: BuildContext) -> Control:
        """Its gradient."""
        return acceptance(self.pattern.automaton, context)

    def verify(self, text: str) -> Verdict:
        """The pattern's."""
        return self.pattern.verify(text)


def acceptance(automaton: Automaton, context: BuildContext) -> Acceptance:
    """The control of a DFA."""
    return Acceptance(PatternControl.of(automaton, context))


@dataclass(frozen=True, eq=False)
class Diffinity(System):
    """See the module docstring."""

    lab: Lab
    kinds: ClassVar[frozenset[str]] = frozenset({"pattern", "keyword", "avoid"})

    def generate(self, controls: Controls, n: int, seed: int) -> list[str]:
        """As `System`."""
        return self.generate_all([Ask(controls, n, seed)])[0]

    def generate_all(self, asks: Sequence[Ask]) -> list[list[str]]:
        """As `System`, in shared batches."""
        bare = [ask._replace(controls=_bare(ask.controls)) for ask in asks]
        return write(self.lab, bare, SAMPLING, GUIDANCE)


def _bare(controls: Controls) -> Controls:
    return Controls(tuple(Term(Accepted(pattern=t.spec), t.weight, str(t)) for t in controls))


SYSTEMS = {"Diffinity": Diffinity}
