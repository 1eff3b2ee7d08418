"""What a training tells on its way, the same of whatever is trained; who shows it decides how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlm_core.training.loop import Trainer, TrainResult


@dataclass
class Told:
    """Called on the way; the CLI draws a bar and prints with it.

    Attributes:
        step: steps done, steps in all, and a few figures of the last.
        line: something to read.
        warn: something the person should know that stops nothing.
    """

    step: Callable[[int, int, str], None] = lambda done, steps, figures: None
    line: Callable[[str], None] = lambda text: None
    warn: Callable[[str], None] = lambda text: None


def run_told(trainer: Trainer, told: Told, stop_after: int | None = None) -> TrainResult:
    """Run a training of a Diffusion-LM or a writer; see `Trainer.run`."""
    from dlm_core.training.loop import Callbacks

    steps = trainer.config.max_steps
    goal = min(stop_after or steps, steps)
    told.step(trainer.step, goal, "")

    def on_step(step: int, metrics: dict[str, float]) -> None:
        told.step(step, goal, f"loss={metrics['loss']:.3f}, ce={metrics['anchor']:.3f}")

    def on_eval(step: int, metrics: dict[str, float], samples: list[str]) -> None:
        told.line(f"step {step}: validation cross-entropy {metrics['valid_anchor']:.3f}")
        for text in samples:
            told.line(f"  | {text}")

    return trainer.run(Callbacks(on_step, on_eval, told.warn), stop_after)
