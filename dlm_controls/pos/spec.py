"""pos:"PROPN AUX ...": the universal part of speech of each word."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from dlm_controls.pos.align import align
from dlm_controls.pos.control import PosControl
from dlm_controls.pos.oracle import UPOS, pos_tags, tagger, tagger_version
from dlm_core.control.compose import ControlSpec
from dlm_core.control.lengths import Lengths
from dlm_core.control.shown import Shown
from dlm_core.control.spec import SpecValueError
from dlm_core.control.verdict import Verdict
from dlm_core.errors import did_you_mean
from dlm_core.text import normal

if TYPE_CHECKING:
    from random import Random

    from dlm_core.bundle import Model, ModelInfo
    from dlm_core.control.protocol import BuildContext, Control
    from dlm_core.corpora import Example

ANY, GAP = "*", "..."


class Pos(ControlSpec):
    """Universal part-of-speech tags, one a word; `*` is any word, `...` any number of words."""

    kind: ClassVar[str] = "pos"
    positional: ClassVar[tuple[str, ...]] = ("tags",)
    examples: ClassVar[tuple[str, ...]] = ('pos:"PROPN AUX DET ADJ NOUN ..."', 'pos:"... PUNCT"')

    tags: tuple[str, ...] = Field(description="spaces between")

    if TYPE_CHECKING:

        def __init__(self, tags: str | Sequence[str]) -> None: ...

    @field_validator("tags", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        tags = [value] if isinstance(value, str) else value
        whole = isinstance(tags, list | tuple) and all(isinstance(tag, str) for tag in tags)
        return tuple(tag for some in tags for tag in some.split()) if whole else value

    @field_validator("tags")
    @classmethod
    def _known(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        if not tags:
            raise SpecValueError("no tags", 'for example pos:"PROPN AUX ..."')
        tags = tuple(GAP if tag in ("...", "…") else tag.upper() for tag in tags)
        for tag in tags:
            if tag not in (ANY, GAP) and tag not in UPOS:
                raise SpecValueError(f"unknown tag '{tag}'", did_you_mean(tag, UPOS, limit=20))
        return tuple(t for k, t in enumerate(tags) if t != GAP or tags[k - 1 : k] != (GAP,))

    @classmethod
    def known_values(cls, field: str, given: Mapping[str, Any], info: ModelInfo) -> Iterable[str]:
        """Tags and what stands for any."""
        return (*UPOS, ANY, GAP)

    def body(self) -> str:
        """Tags in quotes."""
        return f'"{" ".join(self.tags)}"'

    @property
    def slots(self) -> int:
        """Words the tags name; gaps not counted."""
        return sum(tag != GAP for tag in self.tags)

    def lengths(self, info: ModelInfo) -> Lengths:
        """As many words as tags, or at least so many if there is a gap."""
        return Lengths(self.slots, None if GAP in self.tags else self.slots)

    def excludes(self, other: ControlSpec, info: ModelInfo) -> str | None:
        """Two sequences of tags that no text has both of."""
        if not isinstance(other, Pos) or _meet(self.tags, other.tags):
            return None
        return "no sequence of tags meets both"

    def build(self, context: BuildContext) -> Control:
        """Steer with the bundle's `pos` tagger."""
        from dlm_controls.heads.tagger import load_tagger
        from dlm_controls.pos.words import load_tag_words

        tagger = load_tagger(context, self.kind)
        words = load_tag_words(context, self.kind, len(tagger.labels))
        items = [tagger.labels.index(t) if t in tagger.labels else -1 for t in self.tags]
        gaps = [t == GAP for t in self.tags]
        written = self.shown(self.slots).names <= context.shown and sum(gaps) <= 1
        return PosControl(tagger, words, tuple(items), tuple(gaps), written)

    def shown(self, words: int) -> Shown:
        """The tag of each word; with several gaps of those before the first and after the last."""
        from dlm_controls.pos.shown import code

        tags = list(self.tags)
        if GAP in tags:
            first, last = tags.index(GAP), len(tags) - 1 - tags[::-1].index(GAP)
            after = len(tags) - 1 - last
            tags = [*tags[:first], *[ANY] * max(0, words - first - after), *tags[last + 1 :]]
        return Shown(places=tuple(None if tag == ANY else code(tag) for tag in tags[:words]))

    @classmethod
    def read_shown(cls, examples: Sequence[Example], info: ModelInfo) -> list[Shown]:
        """The tags of every word."""
        from dlm_controls.pos.shown import read

        return read(examples)

    @classmethod
    def draw_shown(cls, everything: Shown, words: Sequence[str], draws: Random) -> Shown:
        """All tags, some, or none."""
        from dlm_controls.pos.shown import draw

        return draw(everything, draws)

    @classmethod
    def check_training(cls, examples: Sequence[Example], **options: Any) -> None:
        """spaCy must be there."""
        tagger()

    @classmethod
    def draw_target(cls, example: Example, draws: Random, name: str) -> Pos | None:
        """The tags of all its words."""
        (tags,) = pos_tags([example.text.split()])
        return cls([tag if tag in UPOS else ANY for tag in tags])

    def verify(self, text: str) -> Verdict:
        """Word-level exact match of spaCy's tags; `score` is the share of words that match.

        Raises:
            MissingError: spaCy or its model is not installed.
        """
        words = normal(text).split()
        (found,) = pos_tags([words])
        cost = [
            [float(item not in (ANY, GAP) and item != tag) for item in self.tags] for tag in found
        ]
        aligned = align(cost, [t == GAP for t in self.tags])
        named = [item for item in self.tags if item not in (ANY, GAP)]
        if aligned is None:  # another number of words: compare as far as both go (the paper's rule)
            hits = sum(a == b for a, b in zip(self.tags, found, strict=False))
            hits += sum(a == ANY for a, _ in zip(self.tags, found, strict=False))
            wanted = f"{self.slots} or more" if GAP in self.tags else f"{self.slots}"
            return Verdict(False, f"{len(words)} words, not {wanted}", hits / max(1, self.slots))
        wrong = [
            f"word {at}, {word}/{tag}, is not {self.tags[k]}"
            for at, (word, tag, k) in enumerate(zip(words, found, aligned, strict=True), 1)
            if self.tags[k] not in (ANY, GAP, tag)
        ]
        score = 1.0 - len(wrong) / len(named) if named else 1.0
        return Verdict(not wrong, "; ".join(wrong), score)

    def judged_by(self) -> str:
        """spaCy and its model."""
        return tagger_version()

    @classmethod
    def train(
        cls,
        model: Model,
        examples: Sequence[Example],
        out: Path,
        on_step: Callable[[int, int, float], None] | None = None,
        steps: int = 3200,
        seed: int = 0,
        **options: Any,
    ) -> dict[str, float]:
        """Tag the corpus with spaCy; train the net that writes on it, then the tagger.

        Args:
            model: whose words and noise the head learns.
            examples: texts.
            out: folder of the head.
            on_step: called with step, steps and loss.
            steps: of the net that writes; the tagger takes a quarter of them.
            seed: of both.
            options: others of `dlm_controls.pos.words.train_tag_words`.

        Raises:
            UsageError: too few texts.
        """
        from dlm_controls.pos.train import train_tags

        return train_tags(model, examples, out, on_step, steps, seed, **options)


def _meet(left: Sequence[str], right: Sequence[str]) -> bool:
    """Does some sequence of tags meet both?"""
    todo, seen = [(0, 0)], {(0, 0)}
    while todo:
        i, j = todo.pop()
        a = left[i] if i < len(left) else None
        b = right[j] if j < len(right) else None
        if a is b is None:
            return True
        ways = [(i + 1, j)] * (a == GAP) + [(i, j + 1)] * (b == GAP)
        if a is not None and b is not None and (a == b or {a, b} & {ANY, GAP}):
            ways.append((i + (a != GAP), j + (b != GAP)))  # both take a word
        for way in ways:
            if way not in seen:
                seen.add(way)
                todo.append(way)
    return False
