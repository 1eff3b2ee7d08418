"""The watermark plugin: detection power against fluency, texts of one length.

    python benchmarks/watermark.py --teacher TEACHER --shared ../shared --out w.json --plot w.png

For each mode of guidance and strength (the p-value that the control asks for; the smaller, the
stronger) n texts, their keys in turn, and the same seeds unmarked in that mode. A text is found
`exact`: if its exact p-value is at most 1%;
`calibrated`: if it has more green words than 99% of the texts that people wrote (E2E valid, cut to
the same length) have under its key: the threshold of one who knows the domain.
False positives: the exact test on texts that people wrote, over the keys, and under the worst key.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from itertools import cycle, product
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from controls import Bench

from dlm_controls import Length
from dlm_core.bundle import Model
from dlm_core.config import GuidanceConfig, SamplingConfig
from dlm_core.control.compose import as_controls
from dlm_core.evaluation.teacher import Teacher
from dlm_core.evaluation.variety import distinct_share, self_bleu
from dlm_core.generation.prepare import Request

sys.path.insert(0, str(Path(__file__).parents[1] / "plugins_example" / "dlm-watermark"))
from dlm_watermark import GAMMA, Watermark, detect

LEVEL = 0.01


def thresholds(texts: list[str], keys: list[str], gamma: float) -> dict[str, int]:
    """For each key the least number of green words that at most 1% of the texts have."""
    out = {}
    for key in keys:
        greens = sorted((detect([text], key, gamma).green for text in texts), reverse=True)
        out[key] = greens[int(LEVEL * len(greens))] + 1
    return out


def false_positives(texts: list[str], keys: list[str], gamma: float) -> dict[str, float]:
    """Share of texts whose exact p-value is at most 1%."""
    rates = [fmean(detect([t], key, gamma).p_value <= LEVEL for t in texts) for key in keys]
    return {"mean": fmean(rates), "worst_key": max(rates)}


def plot(figures: dict[str, Any], path: Path) -> None:
    """Detection power against the lm-score ratio, a line a mode, a point a strength."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for mode in figures["guidance"]:
        rows = [row for row in figures["rows"] if row["guidance"] == mode]
        ratios = [row["lm_ratio"] for row in rows]
        (line,) = axes.plot(ratios, [row["exact"] for row in rows], "o-", label=mode)
        for row in rows:
            at = (row["lm_ratio"], row["exact"])
            axes.annotate(f" {row['p_value']:g}", at, va="top", color=line.get_color())
    axes.plot([1.1], [0.95], "k+", markersize=12, label="aim")
    axes.set_xlabel("lm-score, marked / unmarked in the same mode")
    axes.set_ylabel("true positives at 1% false positives")
    axes.set_title(f"watermark, {figures['words']} words; at each point the p-value asked for")
    axes.set_ylim(0, 1.03)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="e2e")
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/")
    parser.add_argument(
        "--p-values",
        default="0.24,0.1,0.04,0.01,0.002",
        help="strengths: at 20 words and gamma 1/8, 4 to 8 green words",
    )
    parser.add_argument("--gamma", type=float, default=GAMMA)
    parser.add_argument("--n", type=int, default=200, help="texts a strength")
    parser.add_argument("--keys", type=int, default=20)
    parser.add_argument("--words", type=int, default=20)
    parser.add_argument("--weight", type=float, default=1.0)
    parser.add_argument("--guidance", default="posterior,paper", help="modes")
    parser.add_argument("--steps", type=int, default=SamplingConfig().steps)
    parser.add_argument("--drafts", type=int, help="of each text, marked or not")
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--out", type=Path, help="figures as JSON")
    parser.add_argument("--plot", type=Path, help="trade-off curve as PNG (matplotlib)")
    parser.add_argument("--texts", type=Path, help="every sample as JSONL")
    args = parser.parse_args()
    bench = Bench(
        Model.load(args.model),
        Teacher.load(args.teacher),
        args.shared,
        SamplingConfig(steps=args.steps, drafts=args.drafts),
        GuidanceConfig(),
        1.0,
        args.batch_size,
        {},
    )
    keys = [f"key {k}" for k in range(args.keys)]
    people = [t.split()[: args.words] for t in bench.texts("valid")]
    human = [" ".join(words) for words in people if len(words) == args.words]
    human = random.Random(0).sample(human, min(1000, len(human)))
    least = thresholds(human, keys, args.gamma)
    length = Length(args.words)

    def sample(name: str, p_value: float | None = None) -> tuple[list[str], float]:
        """Text i has seed i and key i modulo the keys, so that strengths differ in nothing else."""
        requests = []
        for i, key in zip(range(args.n), cycle(keys)):
            controls = as_controls(length)
            if p_value is not None:
                mark = Watermark(key, p_value=p_value, gamma=args.gamma)
                controls += args.weight * mark
            requests.append(Request(controls, 1, i))
        results, seconds = bench.run(name, requests)
        return [r.tokenised for group in results for r in group], seconds

    modes = args.guidance.split(",")
    figures: dict[str, Any] = {
        "model": bench.model.info.sha256[:8],
        **{name: getattr(args, name) for name in ("gamma", "n", "keys", "words", "weight")},
        "steps": args.steps,
        "guidance": modes,
        "false_positives_people": false_positives(human, keys, args.gamma),
        "unmarked": [],
        "rows": [],
    }
    unmarked: list[float] = []  # nll of the mode's texts without a mark: the first of its strengths
    strengths = [None, *map(float, args.p_values.split(","))]
    for mode, p_value in product(modes, strengths):
        bench.guidance = GuidanceConfig(mode=mode)
        texts, seconds = sample(f"{mode}, p {p_value}", p_value)
        nll = bench.teacher.nll(texts)
        row: dict[str, Any] = {
            "guidance": mode,
            "lm": fmean(nll),
            "distinct": distinct_share(texts),
            "self_bleu4": self_bleu(texts),
            "seconds_a_text": seconds,
        }
        if p_value is None:
            unmarked = nll
            row["false_positives"] = false_positives(texts, keys, args.gamma)
            figures["unmarked"].append(row)
        else:
            found = [detect([t], key, args.gamma) for t, key in zip(texts, cycle(keys))]
            paired = [a - b for a, b in zip(nll, unmarked, strict=True)]
            row |= {
                "p_value": p_value,
                "exact": fmean(e.p_value <= LEVEL for e in found),
                "calibrated": fmean(e.green >= least[key] for e, key in zip(found, cycle(keys))),
                "asked": fmean(e.p_value <= p_value for e in found),
                "z": fmean(e.z for e in found),
                "lm_ratio": fmean(nll) / fmean(unmarked),
                "lm_ratio_error": stdev(paired) / len(paired) ** 0.5 / fmean(unmarked),
            }
            figures["rows"].append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
        if args.texts:
            lines = [
                json.dumps({"row": name, "seed": r.seed, "text": r.tokenised}, ensure_ascii=False)
                for name, results in bench.kept.items()
                for r in results
            ]
            args.texts.write_text("\n".join(lines) + "\n", "utf-8")
    print(json.dumps(figures, indent=1))
    if args.out:
        args.out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    if args.plot:
        plot(figures, args.plot)


if __name__ == "__main__":
    main()
