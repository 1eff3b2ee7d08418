"""`--watch`: how the words form, on stderr."""

from __future__ import annotations

from dlm_cli.output import (
    stderr,
)

_WATCHED_STEPS, _WATCHED_TEXTS = 10, 4


class Watch:
    """Prints the words of x_0_hat about ten times a batch."""

    def __init__(self, steps: int) -> None:
        self.steps, self.every, self.seen = steps, max(1, steps // _WATCHED_STEPS), 0

    def __call__(self, t: float, texts: list[str]) -> None:
        """Print a step, if it is one of those shown."""
        step = self.seen % self.steps + 1
        self.seen += 1
        if step % self.every and step not in (1, self.steps):
            return
        stderr(f"step {step}/{self.steps}, t={t:.2f}")
        for text in texts[:_WATCHED_TEXTS]:
            stderr(f"  | {text}")
        if len(texts) > _WATCHED_TEXTS:
            stderr(f"  and {len(texts) - _WATCHED_TEXTS} more")
