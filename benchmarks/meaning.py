"""Many conditions at once: whole meaning representations, facts, tags, keywords, trees, mixtures.

    python benchmarks/meaning.py --shared ../shared --teacher TEACHER --json meaning.json
    python benchmarks/meaning.py --shared ../shared --rows mr --as semantic --limit 40 --show 20
    DLM_PARSER=PATH python benchmarks/meaning.py --shared ../shared --rows keywords_tree

Targets are drawn from the E2E validation split, `--texts` texts each, and every row stands alone.
Facts are judged by `facts_judge.py`, which shares no rule with what steers; tags, keywords and
trees by their own verdicts. `ratio`: the teacher's nats a token (`teacher.py`), by those of the
references that the targets come from. Intervals are 95%, by bootstrap over targets.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import meaning_figures as figures
import meaning_targets as targets_of
from facts_judge import FIELDS, FactsJudge, facts, read_csv
from meaning_bench import Bench, Row, measure, run
from meaning_figures import Figure
from meaning_targets import Target

from dlm_core.bundle import Model
from dlm_core.config import SamplingConfig
from dlm_core.evaluation.teacher import Teacher
from dlm_core.evaluation.variety import distinct_n, self_bleu
from dlm_core.generation.prepare import Request
from dlm_core.plugins.loading import load_plugins


def mr(bench: Bench) -> Row:
    """All facts of an MR and nothing else."""
    row, kept, texts = run(bench, "mr", targets_of.whole(bench.rows, bench.way))
    if not kept:
        return row
    return row | whole_mr(bench, kept, texts) | {"asked_as": bench.way}


def whole_mr(bench: Bench, kept: Sequence[Target], texts: Sequence[Sequence[str]]) -> Row:
    """Nothing added, the share of each field's facts that are missing, BLEU."""
    judged = [
        [bench.judge.judge(x, t.facts) for x in group] for t, group in zip(kept, texts, strict=True)
    ]
    out: Row = {"nothing_added": figures.share([[not j.added for j in g] for g in judged])}
    for f in FIELDS:
        gone = [
            [f in dict(j.missing) for j in group]
            for t, group in zip(kept, judged, strict=True)
            if f in t.facts
        ]
        if gone:
            out[f"missing {f}"] = fmean(x for group in gone for x in group)
    for key, lower in (("bleu", False), ("bleu_lowercase", True)):
        out[key], out[f"{key}_signature"] = figures.bleu(texts, [t.references for t in kept], lower)
    return out


def references(bench: Bench) -> Row:
    """The judge on the references themselves: what a perfect copy of the corpus would get."""
    rows = targets_of.drawn(bench.rows, bench.limit, bench.seed)
    kept = [Target(None, m.facts, m.references) for m in rows]
    texts = [list(m.references) for m in rows]
    row = measure(bench, kept, texts)
    added = [[not bench.judge.judge(x, m.facts).added for x in m.references] for m in rows]
    return row | {"nothing_added": figures.share(added)}


def _facts(count: int) -> Callable[[Bench], Row]:
    def row(bench: Bench) -> Row:
        return run(bench, f"facts{count}", targets_of.some_facts(bench.rows, count, bench.seed))[0]

    return row


def unknown_name(bench: Bench) -> Row:
    """A name that the corpus lacks and three facts."""
    found = targets_of.unknown_name(bench.rows, bench.way, bench.seed)
    return run(bench, "unknown_name", found)[0]


def facts_tags(bench: Bench) -> Row:
    """Two facts and six tags with a gap."""
    found = targets_of.facts_tags(bench.rows, bench.judge, *bench.source(), bench.seed)
    return run(bench, "facts_tags", found)[0]


def keywords_fact(bench: Bench) -> Row:
    """Three keywords and a fact."""
    found = targets_of.keywords(bench.rows, bench.judge, *bench.source(), bench.seed, 3, 1)
    return run(bench, "keywords_fact", found)[0]


def keywords2(bench: Bench) -> Row:
    """Two content words."""
    found = targets_of.keywords(bench.rows, bench.judge, *bench.source(), bench.seed, 2)
    return run(bench, "keywords2", found)[0]


def keywords_tree(bench: Bench) -> Row:
    """Two content words and the tree of the text they come from."""
    found = targets_of.keywords(bench.rows, bench.judge, *bench.source(), bench.seed, 2)
    chosen = targets_of.drawn(found, bench.limit, bench.seed)
    return run(bench, "keywords_tree", targets_of.with_trees(chosen))[0]


def free(bench: Bench) -> Row:
    """Unconditional texts beside validation texts."""
    began = time.perf_counter()
    (results,) = bench.generate([Request(n=bench.limit or 500)])
    seconds = (time.perf_counter() - began) / len(results)
    texts = [r.tokenised for r in results]
    real = [r for m in bench.rows for r in m.references]
    beside = random.Random(bench.seed).sample(real, min(len(texts), len(real)))

    def faulty(group: Sequence[str]) -> Figure:
        judged = [bench.judge.judge(x, {}) for x in group]
        return figures.share([[bool(j.contradictory or j.repeated)] for j in judged])

    out: Row = {"texts": len(texts), "faulty": faulty(texts), "faulty_valid": faulty(real)}
    two, two_real = distinct_n(texts, 2), distinct_n(beside, 2)
    out |= {"distinct2": two, "distinct2_valid": two_real, "distinct2_ratio": two / two_real}
    out["self_bleu4"] = self_bleu(texts)
    out["self_bleu4_valid"] = self_bleu(beside)
    if bench.teacher:
        out["nats"] = fmean(bench.teacher.nll(texts))
        out["nats_valid"] = fmean(bench.teacher.nll(real))
        out["ratio"] = out["nats"] / out["nats_valid"]
    bench.shown["free"] = [r.text for r in results]
    return out | {"seconds_a_text": seconds}


ROWS: dict[str, Callable[[Bench], Row]] = {
    "references": references,
    "mr": mr,
    "facts2": _facts(2),
    "facts4": _facts(4),
    "facts8": _facts(8),
    "unknown_name": unknown_name,
    "facts_tags": facts_tags,
    "keywords_fact": keywords_fact,
    "keywords_tree": keywords_tree,
    "keywords2": keywords2,
    "free": free,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="e2e")
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/e2e")
    parser.add_argument("--teacher", type=Path, help="what teacher.py wrote; without it no nats")
    parser.add_argument("--rows", default=",".join(ROWS), help="default: all")
    parser.add_argument("--as", dest="way", choices=("mr", "semantic"), help="how `mr` is asked")
    parser.add_argument("--texts", type=int, default=3, help="a target")
    parser.add_argument("--limit", type=int, help="targets a row, drawn by --seed")
    parser.add_argument("--until", type=int, default=0, help="further tries, reported beside")
    parser.add_argument("--steps", type=int, default=SamplingConfig().steps)
    parser.add_argument("--temperature", type=float, default=SamplingConfig().temperature)
    parser.add_argument("--drafts", type=int, default=SamplingConfig().drafts)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn to ask and to show")
    parser.add_argument(
        "--same-seeds", action="store_true", help="every target's texts from seed 0"
    )
    parser.add_argument("--show", type=int, default=0, help="texts of each row")
    parser.add_argument("--json", type=Path, help="figures")
    args = parser.parse_args()
    unknown = [name for name in args.rows.split(",") if name not in ROWS]
    if unknown:
        parser.error(f"--rows: no {unknown[0]!r}; there are {', '.join(ROWS)}")
    return args


def bench_of(args: argparse.Namespace) -> Bench:
    """Read what the options name; names and places are those of both splits."""
    data = args.shared / "data" / "e2e"
    known = [
        facts(m) for split in ("train", "valid") for m, _ in read_csv(data / f"{split}.csv.gz")
    ]
    has_mr = "mr" in load_plugins().controls
    if args.way is None and not has_mr:
        print("no control `mr` is installed: asking one `semantic` a fact", file=sys.stderr)
    return Bench(
        rows=targets_of.meanings(data / "valid.csv.gz"),
        judge=FactsJudge.of(known),
        teacher=Teacher.load(args.teacher) if args.teacher else None,
        model=None if args.rows == "references" else Model.load(args.model),
        sampling=SamplingConfig(steps=args.steps, temperature=args.temperature, drafts=args.drafts),
        texts=args.texts,
        limit=args.limit,
        until=args.until,
        way=args.way or ("mr" if has_mr else "semantic"),
        seed=args.seed,
        same_seeds=args.same_seeds,
        batch_size=args.batch_size,
    )


def printed(name: str, row: Mapping[str, Any]) -> str:
    """A row, one figure a line."""
    lines = [f"{k:24} {v:.4f}" if isinstance(v, float) else f"{k:24} {v}" for k, v in row.items()]
    return "\n  ".join([name, *lines])


def main() -> None:
    """Measure the rows that are asked for."""
    args = _arguments()
    bench = bench_of(args)
    about = {"model": bench.model.info.sha256[:8] if bench.model else None}
    kept: dict[str, Any] = about | {k: str(v) for k, v in vars(args).items()}
    for name in args.rows.split(","):
        row = ROWS[name](bench)
        print(printed(name, row), flush=True)
        shown = targets_of.drawn(bench.shown.get(name, []), args.show, args.seed)
        for line in shown:
            print(f"  {line}")
        kept[name] = {k: asdict(v) if isinstance(v, Figure) else v for k, v in row.items()}
        kept[name]["shown"] = shown
        if args.json:  # kept as they come, should a later row fail
            args.json.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
