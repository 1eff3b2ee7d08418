"""How far a training has come: a bar on stderr, and lines above it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dlm_cli.output import progress_bar, stderr, warn
from dlm_core.training.told import Told


@contextmanager
def watching(name: str) -> Iterator[Told]:
    """Draw what a training tells as long as the block lasts."""
    with progress_bar(name, None) as bar:

        def step(done: int, steps: int, figures: str) -> None:
            bar.total = steps
            if not bar.n:  # what was done before a training was stopped took none of this time
                bar.n = bar.initial = done - 1
            bar.set_postfix_str(figures, refresh=False)
            bar.update(done - bar.n)

        def line(text: str) -> None:
            bar.clear()
            stderr(text)

        def warning(text: str) -> None:
            bar.clear()
            warn(text)

        yield Told(step, line, warning)
