"""Choosing one of 20 infillings: corpus BLEU-4 against the texts that were cut.

    python benchmarks/selection.py --shared ../shared --teacher TEACHER --out selection.json

The gaps are those of the row `infill` of `benchmarks/controls.py`: E2E validation texts with 3 to 8
words cut out. Prints JSON: for each way to choose, BLEU-4 of the whole texts and of the words in
the gap alone (sacrebleu, 0 to 100), and the lm-score (nats a token under the teacher) of the texts.
`random` is what a candidate drawn at random gives on average.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from controls import Bench, infill_targets
from sacrebleu.metrics import BLEU

from dlm_controls import Infill
from dlm_controls.selectors import MBR, ByLM
from dlm_core.bundle import Model
from dlm_core.config import GuidanceConfig, SamplingConfig
from dlm_core.control.compose import as_controls
from dlm_core.evaluation.teacher import Teacher
from dlm_core.generation.prepare import Request
from dlm_core.results import Result
from dlm_core.selection import SelectorSpec, select


def gap(infill: Infill, text: str) -> str:
    """The words between the left and the right context."""
    words = text.split()
    return " ".join(words[len(infill.left.split()) : len(words) - len(infill.right.split())])


def figures(
    bench: Bench, targets: Sequence[tuple[Infill, str]], results: Sequence[Result]
) -> dict[str, float]:
    """Of one result a target."""
    chosen, truths = [result.tokenised for result in results], [truth for _, truth in targets]
    gaps, true_gaps = (
        [gap(spec, text) for (spec, _), text in zip(targets, texts, strict=True)]
        for texts in (chosen, truths)
    )
    return {
        "bleu4": BLEU(force=True).corpus_score(chosen, [truths]).score,
        "bleu4_gap": BLEU(force=True).corpus_score(gaps, [true_gaps]).score,
        "lm": bench.lm(chosen),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="e2e")
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/")
    parser.add_argument("--n", type=int, default=200, help="gaps")
    parser.add_argument("--limit", type=int, help="only the first of them, to try it")
    parser.add_argument("--candidates", type=int, default=20, help="of each gap")
    parser.add_argument("--steps", type=int, default=SamplingConfig().steps)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--out", type=Path, help="figures as JSON")
    args = parser.parse_args()
    bench = Bench(
        Model.load(args.model),
        Teacher.load(args.teacher),
        args.shared,
        SamplingConfig(steps=args.steps),
        GuidanceConfig(),
        1.0,
        args.batch_size,
        {},
    )
    selectors: dict[str, SelectorSpec] = {
        "mbr:bleu": MBR(utility="bleu"),
        "mbr:chrf": MBR(utility="chrf"),
        "lm": ByLM(args.teacher),
    }
    targets = list(infill_targets(bench, min(args.n, args.limit or args.n)))
    requests = [Request(as_controls(spec), args.candidates) for spec, _ in targets]
    candidates, seconds = bench.run("infill", requests)
    drawn = [figures(bench, targets, nth) for nth in zip(*candidates, strict=True)]
    chosen = {
        name: figures(bench, targets, [select(selector, group)[0] for group in candidates])
        for name, selector in selectors.items()
    }
    row = {
        "model": bench.model.info.sha256[:8],
        "gaps": len(targets),
        "candidates": args.candidates,
        "steps": args.steps,
        "random": {key: fmean(one[key] for one in drawn) for key in drawn[0]},
        **chosen,
        "lm_originals": bench.lm([truth for _, truth in targets]),
        "seconds_a_text": seconds,
    }
    text = json.dumps(row, indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
