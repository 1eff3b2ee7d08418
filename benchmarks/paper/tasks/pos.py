"""Parts of speech: a tag a word (§6.2); the paper measures the share of words with their tag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from benchmarks.baselines.base import Whole
from benchmarks.baselines.lab import Lab
from benchmarks.paper.tasks.base import LOOKED_AT, Scores, Target, Task, each, released, unframed
from dlm_controls import Pos
from dlm_controls.pos.oracle import pos_tags
from dlm_controls.pos.spec import UPOS
from dlm_core.control.compose import ControlSpec, as_controls
from dlm_core.errors import UsageError


def tagged(spec: ControlSpec, text: str) -> dict[str, float]:
    """The share of words with the right tag, and whether all have it."""
    verdict = spec.verify(text)
    return {"words": verdict.share or 0.0, "satisfied": float(verdict.satisfied or False)}


class PosTask(Task):
    """100 released sequences of tags."""

    name, title = "pos", "Parts-of-speech"
    measures: ClassVar[dict[str, str]] = {"words": "words with their tag", "satisfied": "all words"}
    looked_at = LOOKED_AT

    def all_targets(self, lab: Lab) -> list[Target]:
        """As `Task`."""
        return [
            Target(as_controls(Pos(tags=unframed(row, "pos"))), " ".join(unframed(row, "words_")))
            for row in released(lab, "pos")
        ]

    def judge(self, targets: Sequence[Target], groups: Sequence[Sequence[str]]) -> Scores:
        """As `Task`."""
        return each(targets, groups, lambda t, x: tagged(t.controls.terms[0].spec, x))


class Tags(Whole):
    """Read by spaCy."""

    kind, fudge_weight, lr, fluency = "pos", 20.0, 0.05, 0.0005

    def read(self, lab: Lab, texts: Sequence[Sequence[str]]) -> list[Sequence[ControlSpec]]:
        """The tags of each text."""
        return [(Pos(tags=tags),) for tags in pos_tags(texts)]

    def codes(self, spec: ControlSpec) -> list[str]:
        """The tags."""
        return [f"pos:{tag}" for tag in self.labels(spec)]

    def labels(self, spec: ControlSpec) -> list[str]:
        """The tags.

        Raises:
            UsageError: not every word has its own: no text a baseline learned from had a gap.
        """
        assert isinstance(spec, Pos)
        for tag in spec.tags:
            if tag not in UPOS:
                raise UsageError(
                    f"the baselines take a tag for each word, not '{tag}' in '{spec}'",
                    "dlm alone takes '*' and '...'",
                )
        return list(spec.tags)


TASKS, CONDITION = (PosTask(),), Tags()
