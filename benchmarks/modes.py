"""Guidance modes by kind of control: success, fluency and time. Settings are chosen on this.

    DLM_PARSER=PATH python benchmarks/modes.py --teacher TEACHER --shared ../shared --scale 0.1
    python benchmarks/modes.py ... --rows semantic,pos

Targets are made from E2E validation texts (seed 0): a fact that a text states, its tags, its tree,
one of its constituents, a pattern it fits, some of its words, its length, a cut in it. Success is
the verdict: the fact in its field, words with their tag, labelled F1, exact spans, satisfied
patterns. Every mode sees the same targets and seeds, in one run; options as for `controls.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import controls
from controls import Bench, infill_targets
from patterns import Maker
from trees import bare, some_span, validation

from dlm_controls import Length, Pos, Semantic
from dlm_controls.pos.oracle import pos_tags
from dlm_controls.semantic.e2e.reader import read_mentions
from dlm_controls.tree.oracle import parse_words
from dlm_core.control.compose import ControlSpec, as_controls
from dlm_core.control.verdict import Verdict
from dlm_core.generation.prepare import Request

MODES = ("posterior", "paper", "both")
SAMPLES = 3


def semantic(bench: Bench) -> list[ControlSpec]:
    """A fact of each text."""
    rng = random.Random(0)
    facts = [rng.choice(read_mentions(words)) for words in validation(bench)]
    return [Semantic(field=fact.field, value=fact.value) for fact in facts]


def pos(bench: Bench) -> list[ControlSpec]:
    """The tags of each text."""
    return [Pos(tags=tuple(tags)) for tags in pos_tags(validation(bench))]


def tree(bench: Bench) -> list[ControlSpec]:
    """The tree of each text."""
    return [bare(tree) for tree in parse_words(validation(bench))]


def span(bench: Bench) -> list[ControlSpec]:
    """A constituent of each text."""
    rng = random.Random(0)
    return [some_span(tree, rng) for tree in parse_words(validation(bench))]


def patterns(kind: str) -> Callable[[Bench], list[ControlSpec]]:
    """Targets of one kind of `patterns.py`."""

    def make(bench: Bench) -> list[ControlSpec]:
        maker = Maker(bench.texts("valid"), bench.model, 0)
        count = len(validation(bench))
        return [target.spec for target in maker.targets(6 * count) if target.kind == kind]

    return make


def length(bench: Bench) -> list[ControlSpec]:
    """The length of each text."""
    return [Length(len(words)) for words in validation(bench)]


def infill(bench: Bench) -> list[ControlSpec]:
    """Texts with a cut."""
    return [spec for spec, _ in infill_targets(bench, len(validation(bench)))]


KINDS: dict[str, Callable[[Bench], list[ControlSpec]]] = {
    "semantic": semantic,
    "pos": pos,
    "tree": tree,
    "span": span,
    "pattern": patterns("mixed"),
    "keyword": patterns("keyword"),
    "avoid": patterns("avoid"),
    "length": length,
    "infill": infill,
}


def success(verdict: Verdict) -> float:
    """The share that is right, or whether all is."""
    if verdict.parts:
        return float(verdict.parts["right_field"])
    return float(verdict.satisfied or False) if verdict.score is None else verdict.score


def row(name: str) -> Callable[[Bench], dict[str, Any]]:
    """A row of the table: every mode on the targets of one kind."""

    def run(bench: Bench) -> dict[str, Any]:
        specs: Sequence[ControlSpec] = KINDS[name](bench)
        figures: dict[str, Any] = {"n": len(specs) * SAMPLES}
        for mode in MODES:
            guidance = bench.guidance.model_copy(update={"mode": mode})
            results, seconds = replace(bench, guidance=guidance).run(
                f"{name} {mode}", [Request(as_controls(spec), SAMPLES) for spec in specs]
            )
            verdicts = [
                spec.verify(result.tokenised)
                for spec, group in zip(specs, results, strict=True)
                for result in group
            ]
            for part in verdicts[0].parts or ():
                held = [bool(v.parts and v.parts[part]) for v in verdicts]
                figures[f"{mode}_{part}"] = fmean(held)
            texts = [result.tokenised for group in results for result in group]
            figures |= {
                f"{mode}_success": fmean(map(success, verdicts)),
                f"{mode}_satisfied": fmean(bool(v.satisfied) for v in verdicts),
                f"{mode}_lm": bench.lm(texts),
                f"{mode}_seconds": seconds,
            }
        return figures

    return run


if __name__ == "__main__":
    controls.__doc__ = __doc__
    controls.ROWS = {name: row(name) for name in KINDS}
    controls.main()
