"""Tree and span control, judged by the oracle: labelled F1, and the share of exact spans.

    DLM_PARSER=PATH python benchmarks/trees.py --teacher TEACHER --shared ../shared --out trees.json
    DLM_PARSER=PATH python benchmarks/trees.py ... --rows tree_valid,span_valid --scale 0.2

`tree`: the sentences of control_targets/pos.jsonl, START, END and newlines dropped, parsed by the
oracle; their trees are the targets, without words and tags. `span`: the targets of span.jsonl.
`semantic_tree`: fact and tree of each row of semantic_pos.jsonl. The rows `_valid` draw their
targets from E2E validation texts (the trees, or one constituent of each): settings are chosen on
those. Options are those of `benchmarks/controls.py`, whose targets, teacher and lm-score these are.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import controls
from controls import FRAME, Bench

from dlm_controls import Span, Tree
from dlm_controls.tree.bracketing import ANY, ROOTS, ParseTree, labelled_f1
from dlm_controls.tree.oracle import parse_words
from dlm_core.control.compose import Controls, ControlSpec, as_controls
from dlm_core.errors import SpecError
from dlm_core.generation.prepare import Request
from dlm_core.results import Result

SAMPLES = 5


def sentence(row: dict[str, Any]) -> list[str]:
    """The words of a released target, without its frame."""
    return [w for w in row["words_"] if w not in FRAME]


def validation(bench: Bench) -> list[list[str]]:
    """100 validation texts, drawn with seed 0."""
    texts = sorted(
        {t for t in bench.texts("valid") if len(t.split()) <= bench.model.info.max_words}
    )
    chosen = random.Random(0).sample(texts, 100)
    return [t.split() for t in chosen[: max(1, round(100 * bench.scale))]]


def bare(tree: ParseTree) -> Tree:
    """The tree without its words and tags, as a control."""
    wild = replace(tree, words=(ANY,) * len(tree.words), tags=("",) * len(tree.words))
    return Tree(str(wild))


def some_span(tree: ParseTree, rng: random.Random) -> Span:
    """One constituent that is not the whole text."""
    whole = (0, len(tree.words) - 1)
    inner = [b for b in tree.brackets if b.label not in ROOTS and (b.start, b.end) != whole]
    return Span(*rng.choice(inner or list(tree.brackets[1:])))


def known(spec: Span, bench: Bench) -> bool:
    """Whether the head knows the label."""
    try:
        spec.check(bench.model.info)
    except SpecError as error:
        print(error, file=sys.stderr)
        return False
    return True


def run(
    bench: Bench,
    name: str,
    requests: Sequence[ControlSpec | Controls],
    judged: Sequence[Tree] | Sequence[Span],
    own: Sequence[Sequence[str]],
) -> tuple[dict[str, float], list[list[Result]]]:
    """Figures of `SAMPLES` texts a request, and the texts; `own` are the targets' sentences."""
    results, seconds = bench.run(name, [Request(as_controls(r), SAMPLES) for r in requests])
    texts = [(s, r.tokenised) for s, group in zip(judged, results, strict=True) for r in group]
    parsed = parse_words([text.split() for _, text in texts])
    scores = [
        labelled_f1(s.parsed, tree) if isinstance(s, Tree) else float(s.holds(tree))
        for (s, _), tree in zip(texts, parsed, strict=True)
    ]
    lm = bench.lm([text for _, text in texts])
    lm_targets = bench.lm([" ".join(words) for words in own])
    figures = {"n": len(scores), "exact": fmean(score == 1.0 for score in scores)}
    if isinstance(judged[0], Tree):
        figures["f1"] = fmean(scores)
    figures |= {"lm": lm, "lm_targets": lm_targets, "lm_ratio": lm / lm_targets}
    return figures | {"seconds_a_text": seconds}, results


def tree(bench: Bench) -> dict[str, float]:
    """100 targets x 5."""
    own = [sentence(row) for row in bench.targets("pos")]
    specs = [bare(t) for t in parse_words(own)]
    return run(bench, "tree", specs, specs, own)[0]


def span(bench: Bench) -> dict[str, float]:
    """100 targets x 5; those with a label that the oracle lacks are refused and count as missed."""
    rows = bench.targets("span")
    pairs = [(Span(*row["spans"][0]), sentence(row)) for row in rows]
    kept = [(spec, words) for spec, words in pairs if known(spec, bench)]
    specs, own = [spec for spec, _ in kept], [words for _, words in kept]
    figures = run(bench, "span", specs, specs, own)[0]
    share = len(kept) / len(rows)
    return figures | {"refused_targets": 1 - share, "exact_of_all": figures["exact"] * share}


def semantic_tree(bench: Bench) -> dict[str, float]:
    """100 targets x 5."""
    rows = bench.targets("semantic_pos")
    own = [sentence(row) for row in rows]
    trees = [bare(t) for t in parse_words(own)]
    facts = [controls._attribute(row["attr"]) for row in rows]
    both = [f + t for f, t in zip(facts, trees, strict=True)]
    figures, results = run(bench, "semantic_tree", both, trees, own)
    return controls._semantic_rates(facts, results) | figures


def tree_valid(bench: Bench) -> dict[str, float]:
    """100 validation texts x 5."""
    own = validation(bench)
    specs = [bare(t) for t in parse_words(own)]
    return run(bench, "tree_valid", specs, specs, own)[0]


def span_valid(bench: Bench) -> dict[str, float]:
    """A constituent of each of 100 validation texts x 5."""
    own, rng = validation(bench), random.Random(0)
    specs = [some_span(t, rng) for t in parse_words(own)]
    return run(bench, "span_valid", specs, specs, own)[0]


ROWS = {
    "tree": tree,
    "span": span,
    "semantic_tree": semantic_tree,
    "tree_valid": tree_valid,
    "span_valid": span_valid,
}

if __name__ == "__main__":
    controls.__doc__, controls.ROWS = __doc__, ROWS
    controls.main()
