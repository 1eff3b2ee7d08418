"""CommonGen (Lin et al. 2020): a sentence with all of some concepts; the development set."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import ClassVar

from benchmarks.baselines.base import Whole
from benchmarks.baselines.lab import Lab
from benchmarks.lemmas import lemmas
from benchmarks.paper.tasks.base import Scores, Target, Task, each, packed
from dlm_controls import Keyword
from dlm_core.control.compose import ControlSpec, as_controls

CONTENT = {"NOUN", "VERB", ""}
"""What concepts are; without spaCy no word has a tag, and each is taken for one."""
FEWEST, MOST = 3, 5


class CommonGen(Task):
    """Sets whose words the model knows, with every sentence that people wrote of them."""

    name, title = "commongen", "CommonGen"
    measures: ClassVar[dict[str, str]] = {"said": "concepts said word for word"}

    def all_targets(self, lab: Lab) -> list[Target]:
        """As `Task`."""
        sides = (packed(lab, f"commongen/commongen.dev.{x}.txt.gz") for x in ("src_alpha", "tgt"))
        concepts_of, texts = (side.splitlines() for side in sides)
        sets: dict[str, list[str]] = {}
        for concepts, example in zip(concepts_of, lab.prepared(texts), strict=True):
            sets.setdefault(" ".join(concepts.split()), []).append(example.text)
        found = []
        for concepts, (first, *others) in sets.items():
            spec = Keyword(concepts.split(), exact=False)
            if not any(spec.unknown_words(lab.model.info)):
                found.append(Target(as_controls(spec), first, 0, tuple(others), alone=True))
        return found

    def judge(self, targets: Sequence[Target], groups: Sequence[Sequence[str]]) -> Scores:
        """As `Task`."""
        return each(
            targets, groups, lambda t, x: {"said": t.controls.terms[0].spec.verify(x).share or 0.0}
        )


class Concepts(Whole):
    """Lemmas of three to five nouns and verbs of a text."""

    kind = "keyword"

    def read(self, lab: Lab, texts: Sequence[Sequence[str]]) -> list[Sequence[ControlSpec]]:
        """One set a text; none of a text with fewer."""
        rng, found = Random(0), []
        for read in lemmas(texts):
            content = (x.text for x in read if x.tag in CONTENT and x.text.isalpha())
            concepts = list(dict.fromkeys(content))
            count = min(len(concepts), rng.randint(FEWEST, MOST))
            chosen = rng.sample(concepts, count)
            found.append((Keyword(chosen, exact=False),) if count >= FEWEST else ())
        return found

    def codes(self, spec: ControlSpec) -> list[str]:
        """The words, in the order of the alphabet as CommonGen has them."""
        assert isinstance(spec, Keyword)
        return ["keyword:", *(f"word:{word}" for word in sorted(spec.phrases))]


TASKS, CONDITION = (CommonGen(),), Concepts()
