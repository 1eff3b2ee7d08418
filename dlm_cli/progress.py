"""How far a long run has come, on stderr. Imports tqdm: only what runs long imports it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from dlm_cli.words import spell_time

EVERY = 30.0
"""Seconds between two lines where stderr is no terminal."""


class Lines(tqdm):  # type: ignore[misc]
    """A bar for where no bar can be drawn: a line now and then."""

    def __init__(self, *args: Any, say: Callable[[str], None], **options: Any) -> None:
        self._say, self._told = say, time.monotonic()
        super().__init__(*args, **options)
        self.start = self._told

    def update(self, n: float | None = 1) -> bool | None:
        """Count, and say so if it is time."""
        self.n += n or 0
        now = time.monotonic()
        if now - self._told < EVERY:
            return False
        self._told = now
        taken = now - self.start
        of = f" of {self.total:,}" if self.total else ""
        left = ""
        done = self.n - self.initial
        if self.total and done > 0:  # a stage of several parts begins anew with each
            left = f", about {spell_time(taken * (self.total - self.n) / done)} left"
        self._say(f"{self.desc}: {self.n:,}{of}, {spell_time(taken)}{left}")
        return True

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Nothing is drawn."""
        return False

    def clear(self, nolock: bool = False) -> None:
        """Nothing is there to be cleared."""

    def close(self) -> None:
        """Nothing is there to be closed."""


def make_bar(name: str, total: int | None, hidden: bool, say: Callable[[str], None]) -> tqdm[Any]:
    """A bar, or what stands for one."""
    terminal = sys.stderr.isatty()
    if hidden or terminal:
        return tqdm(total=total, desc=name, dynamic_ncols=True, leave=False, disable=hidden)
    return Lines(total=total, desc=name, say=say)
