"""readability:easy - how easily a text reads, by Flesch's formula.

A control with a head of its own: `dlm train control readability --corpus READER:PATH` trains it on
any texts, which the formula labels. This half is light; `head.py` is the one that imports torch.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dlm_core import ControlSpec, UsageError, Verdict, hookimpl

if TYPE_CHECKING:
    from pathlib import Path

    import typer

    from dlm_core import BuildContext, Control, Example, Model

LEVELS = ("easy", "plain", "hard")


class Readability(ControlSpec):
    """How easily a text reads, by its Flesch reading ease: easy, plain or hard."""

    kind: ClassVar[str] = "readability"
    positional: ClassVar[tuple[str, ...]] = ("level",)
    examples: ClassVar[tuple[str, ...]] = ("readability:easy", "readability:hard")
    normalised: ClassVar[bool] = True

    level: Literal["easy", "plain", "hard"]

    def body(self) -> str:
        """The level."""
        return self.level

    def build(self, context: BuildContext) -> Control:
        """Steer with the head that was trained on this model."""
        from dlm_control_readability.head import load_head

        head = load_head(context)
        level = LEVELS.index(self.level)
        return context.control(lambda state: head(state)[:, level])

    def verify(self, text: str) -> Verdict:
        """Flesch's formula; `score` is 1 or 0."""
        ease = reading_ease(text)
        return Verdict(level_of(ease) == self.level, f"Flesch reading ease {ease:.1f}")

    @classmethod
    def train(
        cls,
        model: Model,
        examples: Sequence[Example],
        out: Path,
        on_step: Callable[[int, int, float], None] | None = None,
        **options: Any,
    ) -> dict[str, float]:
        """Train the head on texts and what the formula says of them; returns held-out figures."""
        from dlm_control_readability.head import train_head

        texts = [e.text for e in examples if 0 < len(e.text.split()) <= model.info.max_words]
        levels = [level_of(reading_ease(text)) for text in texts]
        if len(set(levels)) < 2:
            raise UsageError("the texts are all of one level: there is nothing to tell apart")
        rows = [(text, LEVELS.index(level)) for text, level in zip(texts, levels, strict=True)]
        return train_head(model, rows, out, on_step=on_step, **options)


def reading_ease(text: str) -> float:
    """206.835 - 1.015 words/sentence - 84.6 syllables/word (Flesch 1948)."""
    words = [word for word in text.split() if re.search("[A-Za-z]", word)]
    sentences = len(re.findall(r"[.?!](?:\s|$)", text)) or 1
    if not words:
        return 0.0
    syllables = sum(map(count_syllables, words))
    return 206.835 - 1.015 * len(words) / sentences - 84.6 * syllables / len(words)


def count_syllables(word: str) -> int:
    """Groups of vowels, less a silent e: right for most words, and the same for every text."""
    word = re.sub("[^a-z]", "", word.lower())
    silent = re.search(r"[^aeiouyl]e$|[aeiouy]le$|[^aeiouytd]ed$", word) is not None
    return max(1, len(re.findall("[aeiouy]+", word)) - silent)


def level_of(ease: float) -> str:
    """Flesch's bands, three of them."""
    return "easy" if ease >= 70 else "plain" if ease >= 50 else "hard"


def tell() -> None:
    """Flesch reading ease and level of each line of the standard input."""
    for line in sys.stdin:
        ease = reading_ease(line)
        print(f"{ease:.1f}\t{level_of(ease)}")


@hookimpl
def dlm_register_controls(register: Callable[[type[ControlSpec]], None]) -> None:
    """Register readability."""
    register(Readability)


@hookimpl
def dlm_register_commands(app: typer.Typer) -> None:
    """Add `dlm readability`."""
    app.command("readability")(tell)
