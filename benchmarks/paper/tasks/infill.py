"""Infilling (§6.2) on E2E: validation texts with three to eight words cut out.

The paper's data is aNLG, for a model of stories (`stories.py`); E2E gaps are for the embedded one.
Every system is told how many words to write.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import chain
from typing import ClassVar

from benchmarks.baselines.base import Whole
from benchmarks.baselines.lab import Lab
from benchmarks.paper.tasks.base import LOOKED_AT, Scores, Target, Task, each
from dlm_controls import Infill
from dlm_core.control.compose import ControlSpec, as_controls
from dlm_core.corpora.prepare import split_sentences

SHORT, LONG, GAPS = 3, 8, 200


def cut(words: Sequence[str], rng: random.Random) -> Infill | None:
    """A text with a gap; None if it is too short for one, and two words on each side."""
    size = rng.randint(SHORT, LONG)
    if len(words) < size + 4:
        return None
    at = rng.randint(2, len(words) - size - 2)
    return Infill(left=" ".join(words[:at]), right=" ".join(words[at + size :]), words=size)


def cut_sentence(words: Sequence[str], rng: random.Random) -> tuple[Infill, ...]:
    """A text without a sentence between two others, its size open and told; else as `cut`."""
    parts = list(split_sentences(words))
    if len(parts) < 3:
        return one(cut(words, rng))
    at = rng.randrange(1, len(parts) - 1)
    left, right = (" ".join(chain.from_iterable(side)) for side in (parts[:at], parts[at + 1 :]))
    return tuple(Infill(left=left, right=right, words=n) for n in (None, len(parts[at])))


def one(spec: Infill | None) -> tuple[Infill, ...]:
    """It, if there is one."""
    return () if spec is None else (spec,)


def middle(spec: Infill, text: str) -> str:
    """The words between the sides."""
    words = text.split()
    return " ".join(words[len(spec.left.split()) : len(words) - len(spec.right.split())])


class InfillTask(Task):
    """See the module docstring."""

    name, title = "infill", "Infilling, E2E gaps"
    measures: ClassVar[dict[str, str]] = {"kept": "sides kept, number of words"}
    looked_at = LOOKED_AT

    def all_targets(self, lab: Lab) -> list[Target]:
        """As `Task`."""
        rng, found, vocab = random.Random(0), [], lab.model.vocab
        texts = lab.texts("valid")
        rng.shuffle(texts)
        for words in texts:
            known = len(words) <= lab.model.info.max_words and all(w in vocab for w in words)
            spec = cut(words, rng) if known else None
            if spec is not None:
                found.append(Target(as_controls(spec), " ".join(words)))
            if len(found) == GAPS:
                break
        return found

    def judge(self, targets: Sequence[Target], groups: Sequence[Sequence[str]]) -> Scores:
        """As `Task`."""
        return each(
            targets,
            groups,
            lambda t, x: {"kept": float(t.controls.terms[0].spec.verify(x).satisfied or False)},
        )


class Gap(Whole):
    """Cut out of the texts themselves: a sentence between two others where `--corpus` has such."""

    kind = "infill"

    def read(self, lab: Lab, texts: Sequence[Sequence[str]]) -> list[Sequence[ControlSpec]]:
        """One gap a text; a sentence with and without its number of words."""
        rng = random.Random(0)
        return [cut_sentence(words, rng) if lab.corpus else one(cut(words, rng)) for words in texts]

    def codes(self, spec: ControlSpec) -> list[str]:
        """Left, right and the number of words, (O1, O2) before what stands between."""
        assert isinstance(spec, Infill)
        sides = [[f"word:{word}" for word in side.split()] for side in (spec.left, spec.right)]
        return [*sides[0], "infill:gap", *sides[1], f"infill:{spec.words or 'open'}"]

    def written(self, spec: ControlSpec, words: Sequence[str]) -> Sequence[str]:
        """What was cut out."""
        assert isinstance(spec, Infill)
        return middle(spec, " ".join(words)).split()

    def whole(self, spec: ControlSpec, written: str) -> str:
        """Both sides around it."""
        assert isinstance(spec, Infill)
        return " ".join([*spec.left.split(), *written.split(), *spec.right.split()])


TASKS, CONDITION = (InfillTask(),), Gap()
