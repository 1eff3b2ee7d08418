"""`--watch`: how the words form, on stderr; in place on a terminal, in lines elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dlm_cli.output import stderr
from dlm_cli.words import printable
from dlm_core.natural import detokenise

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from rich.live import Live
    from rich.text import Text

    from dlm_core.results import Step

_WATCHED_STEPS, _WATCHED_TEXTS = 10, 4
_SURE, _LIKELY = 0.9, 0.5
"""Certainty from which a word is bright, and from which it is no longer dim."""


class Watch:
    """Shows the words of x_0_hat: every step on a terminal, about ten times a batch elsewhere.

    Args:
        steps: of a batch.
    """

    def __init__(self, steps: int) -> None:
        self.steps, self.every, self.seen = steps, max(1, steps // _WATCHED_STEPS), 0
        self._live: Live | None = None

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._stop()

    def __call__(self, texts: Sequence[Step]) -> None:
        """Show a step."""
        step = self.seen % self.steps + 1
        self.seen += 1
        head = f"step {step}/{self.steps}, t={texts[0].t:.2f}"
        rest = len(texts) - _WATCHED_TEXTS
        more = [f"  and {rest} more"] if rest > 0 else []
        if sys.stderr.isatty():
            self._draw([head], texts[:_WATCHED_TEXTS], more)
            if step == self.steps:
                self._stop()
        elif step % self.every == 0 or step in (1, self.steps):
            told = [f"  | {detokenise(text.words)}" for text in texts[:_WATCHED_TEXTS]]
            for line in (head, *told, *more):
                stderr(line)

    def _draw(self, head: list[str], texts: Sequence[Step], more: list[str]) -> None:
        from rich.console import Console, Group
        from rich.live import Live
        from rich.text import Text

        if self._live is None:
            console = Console(stderr=True, highlight=False)
            self._live = Live(console=console, auto_refresh=False, redirect_stdout=False)
            self._live.start()
        lines = [Text(line) for line in head] + [shaded(text) for text in texts]
        self._live.update(Group(*lines, *map(Text, more)), refresh=True)

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def shaded(step: Step) -> Text:
    """A line of words, dim while uncertain, bold when sure; what controls moved is underlined."""
    from rich.text import Text

    line = Text("  | ")
    view = step.view
    for k, (word, prob) in enumerate(zip(view["words"], view["probs"], strict=True)):
        style = "bold" if prob >= _SURE else "" if prob >= _LIKELY else "dim"
        line.append(printable(word), f"{style} underline yellow" if k in view["moved"] else style)
    return line
