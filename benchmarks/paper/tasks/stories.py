"""A missing sentence: aNLG (§6.2), and ROCStories by DiffuLLaMA's protocol.

aNLG (Bhagavatula et al. 2020): what happened between two observations, against every hypothesis
that people wrote. ROCStories (Gong et al. 2024, §4): the third of five sentences, its number of
words told (`roc`) or not (`roc-open`). Both are for a model of everyday English and the corpus that
it was trained on (`--model`, `--corpus`).

Where the number of words is open, a system that cannot end a gap itself is told one, drawn for each
text from the sentences between two others in the corpus.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from random import Random
from typing import Any, ClassVar

from benchmarks.baselines.base import Ask
from benchmarks.baselines.lab import Lab
from benchmarks.paper.tasks.base import Scores, Target, Task, packed
from benchmarks.paper.tasks.infill import InfillTask
from dlm_controls import Infill
from dlm_core.control.compose import as_controls
from dlm_core.corpora.prepare import split_sentences

ROOM = 8
"""Words that must fit between the sides; the mean of a sentence of ROCStories is 9."""
MOST = 1000
"""Stories, the first ones: DiffuLLaMA's choice."""


@cache
def middles(lab: Lab) -> tuple[int, ...]:
    """Words of each sentence of the corpus that stands between two others; of all without such."""
    found = [list(map(len, split_sentences(text))) for text in lab.texts("train")]
    between = [n for one in found for n in one[1:-1]]
    return tuple(between or (n for one in found for n in one))


@cache
def neighbours(lab: Lab) -> int:
    """Sentences on each side that the model knows from its corpus: two if a tenth has five."""
    counts = [len(list(split_sentences(text))) for text in lab.texts("valid")]
    return 2 if sum(n >= 5 for n in counts) >= len(counts) / 10 else 1


def room(lab: Lab, spec: Infill) -> int:
    """Words that fit between the sides, which may be spelled in pieces."""
    return lab.model.info.max_words - len(lab.model.vocab.encode(f"{spec.left} {spec.right}"))


class Missing(Task):
    """Base: sentences to put between two texts."""

    measures: ClassVar[dict[str, str]] = {"kept": "sides kept"}

    @abstractmethod
    def gaps(self, lab: Lab) -> Iterator[tuple[str, str, list[str]]]:
        """The left and the right text, and every sentence that would do, in words."""

    def spec(self, left: str, right: str, own: str) -> Infill:
        """The gap; how many words it has is open."""
        return Infill(left=left, right=right)

    def all_targets(self, lab: Lab) -> list[Target]:
        """Those that the model has room for, in its words."""
        info, found = lab.model.info, []
        for left, right, middle in self.gaps(lab):
            spec = self.spec(left, right, middle[0]).bind(info)
            if room(lab, spec) < max(ROOM, spec.words or 0):
                continue
            whole = (f"{spec.left} {own} {spec.right}" for own in middle)
            first, *others = dict.fromkeys(whole)
            found.append(Target(as_controls(spec), first, 0, tuple(others), alone=True))
        return found

    def asks(self, lab: Lab, target: Target, n: int, seed: int, sized: bool) -> list[Ask]:
        """A request a text, with a number of words of its own, where that is to be told."""
        spec = target.controls.terms[0].spec
        assert isinstance(spec, Infill)
        if not sized or spec.words is not None:
            return super().asks(lab, target, n, seed, sized)
        most = room(lab, spec)
        known = [size for size in middles(lab) if size <= most]
        drawn = (Random(seed + k).choice(known or [most]) for k in range(n))
        return [
            Ask(as_controls(spec.model_copy(update={"words": size})), 1, seed + k)
            for k, size in enumerate(drawn)
        ]

    def judge(self, targets: Sequence[Target], groups: Sequence[Sequence[str]]) -> Scores:
        """As `Task`."""
        return InfillTask().judge(targets, groups)


class Anlg(Missing):
    """See the module docstring."""

    name, title = "anlg", "Infilling, aNLG"

    def gaps(self, lab: Lab) -> Iterator[tuple[str, str, list[str]]]:
        """As `Missing`."""
        rows: dict[str, dict[str, Any]] = json.loads(packed(lab, "anlg/dev.json.gz"))
        for row in rows.values():
            texts = lab.prepared([row["obs1"], row["obs2"], *row["gold_labels"]])
            left, right, *gold = (example.text for example in texts)
            yield left, right, gold


class Roc(Missing):
    """The third sentence; as many words as it has are to be written."""

    name, title = "roc", "Infilling, ROCStories, number of words told"

    def spec(self, left: str, right: str, own: str) -> Infill:
        """The gap of the sentence's own size."""
        return Infill(left=left, right=right, words=len(own.split()))

    def gaps(self, lab: Lab) -> Iterator[tuple[str, str, list[str]]]:
        """As `Missing`; on each side the sentences that a text of the corpus has."""
        rows = map(json.loads, packed(lab, "roc/valid.jsonl.gz").splitlines())
        stories = (e.sentences for e in lab.prepared(row["text"] for row in rows))
        side = neighbours(lab)
        for story in islice((story for story in stories if len(story) == 5), MOST):
            parts = story[2 - side : 2], story[3 : 3 + side], [story[2]]
            left, right, own = map(" ".join, parts)
            yield left, right, [own]


class RocOpen(Roc):
    """The third sentence, of any number of words."""

    name, title = "roc-open", "Infilling, ROCStories, number of words open"
    spec = Missing.spec


TASKS = (Anlg(), Roc(), RocOpen())
