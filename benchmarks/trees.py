"""Tree and span control, judged by the oracle: labelled F1, and the share of exact spans.

    DLM_PARSER=PATH python benchmarks/trees.py --shared ../shared --out trees.json --texts trees.jsonl

`tree`: the sentences of control_targets/pos.jsonl, START, END and newlines dropped, parsed by the
oracle; their trees are the targets, without words. `span`: the targets of span.jsonl. With
`--corpus` the targets come from a corpus instead, for choosing settings: its texts' trees, and a
constituent of each.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from dlm_controls import Span, Tree
from dlm_controls.bracketing import ANY, ROOTS, ParseTree, labelled_f1
from dlm_controls.parser import parse_words
from dlm_core.bundle import Model
from dlm_core.config import GuidanceConfig, SamplingConfig
from dlm_core.corpora import read_corpus
from dlm_core.generation import Request, generate_batches
from dlm_core.results import Result
from dlm_core.spec import ControlSpec, as_controls

FRAME = {"START", "END", "\n"}


def released(shared: Path, name: str, count: int) -> Iterator[dict[str, Any]]:
    """The first rows of control_targets/NAME.jsonl, their words without the frame."""
    path = shared / "data" / "control_targets" / f"{name}.jsonl"
    for line in path.read_text("utf-8").splitlines()[:count]:
        row = json.loads(line)
        yield {**row, "words": [w for w in row["words_"] if w not in FRAME]}


def sentences(corpus: str, count: int) -> list[list[str]]:
    """Texts of a corpus, drawn with seed 0."""
    texts = sorted({e.text for e in read_corpus(corpus)})
    return [t.split() for t in random.Random(0).sample(texts, count)]


def bare(tree: ParseTree) -> Tree:
    """The tree without its words and tags, as a control."""
    wild = replace(tree, words=(ANY,) * len(tree.words), tags=("",) * len(tree.words))
    return Tree(str(wild))


def some_span(tree: ParseTree, rng: random.Random) -> Span:
    """One constituent that is not the whole text."""
    whole = (0, len(tree.words) - 1)
    inner = [b for b in tree.brackets if b.label not in ROOTS and (b.start, b.end) != whole]
    return Span(*rng.choice(inner or list(tree.brackets[1:])))


def run(
    model: Model, specs: Sequence[ControlSpec], samples: int, args: argparse.Namespace
) -> tuple[list[list[Result]], float]:
    """Results of each target, and seconds a sample."""
    started = time.perf_counter()
    out: list[list[Result]] = [[] for _ in specs]
    batches = generate_batches(
        model,
        [Request(as_controls(spec), samples) for spec in specs],
        sampling=SamplingConfig(steps=args.steps),
        guidance=GuidanceConfig(mode=args.guidance),
        batch_size=args.batch_size,
        verify=False,
    )
    for batch in batches:
        for owner, result in batch:
            out[owner].append(result)
        print(f"{sum(map(len, out))} texts", end="\r", file=sys.stderr, flush=True)
    return out, (time.perf_counter() - started) / (len(specs) * samples)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="e2e")
    parser.add_argument("--shared", type=Path, help="folder with data/")
    parser.add_argument("--corpus", help="READER:PATH to take targets from instead")
    parser.add_argument("--rows", default="tree,span")
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--guidance", default=GuidanceConfig().mode)
    parser.add_argument("--steps", type=int, default=SamplingConfig().steps)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--out", type=Path, help="figures as JSON")
    parser.add_argument("--texts", type=Path, help="every sample as JSONL")
    args = parser.parse_args()
    if (args.shared is None) == (args.corpus is None):
        parser.error("give --shared or --corpus")
    model = Model.load(args.model)
    figures: dict[str, Any] = {"model": model.info.sha256[:8], "steps": args.steps}
    figures |= {"guidance": args.guidance}
    kept: list[dict[str, Any]] = []
    for row in args.rows.split(","):
        specs: list[Tree] | list[Span]
        if args.corpus:
            trees = parse_words(sentences(args.corpus, args.targets))
        elif row == "tree":
            trees = parse_words([r["words"] for r in released(args.shared, "pos", args.targets)])
        if row == "tree":
            specs = [bare(tree) for tree in trees]
        elif args.corpus:
            rng = random.Random(0)
            specs = [some_span(tree, rng) for tree in trees]
        else:
            rows = released(args.shared, "span", args.targets)
            specs = [Span(*target) for r in rows for target in r["spans"][:1]]
        results, seconds = run(model, specs, args.samples, args)
        texts = [(s, r.text) for s, group in zip(specs, results, strict=True) for r in group]
        found = parse_words([text.split() for _, text in texts])
        verdicts = [
            labelled_f1(spec.parsed, tree) if isinstance(spec, Tree) else float(spec.holds(tree))
            for (spec, _), tree in zip(texts, found, strict=True)
        ]
        figures[row] = {
            "f1" if row == "tree" else "exact": fmean(verdicts),
            "whole": fmean(v == 1.0 for v in verdicts),
            "n": len(verdicts),
            "seconds_a_text": seconds,
        }
        kept += [
            {"spec": str(s), "text": t, "score": v, "parse": str(p)}
            for (s, t), v, p in zip(texts, verdicts, found, strict=True)
        ]
        if args.out:
            args.out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
        if args.texts:
            lines = [json.dumps(line, ensure_ascii=False) for line in kept]
            args.texts.write_text("\n".join(lines) + "\n", "utf-8")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
