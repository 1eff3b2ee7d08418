"""The table of this project: fluency, variety, coherence and control of a bundle, measured.

    python benchmarks/controls.py --teacher TEACHER --shared ../shared --out results.json
    python benchmarks/controls.py --teacher TEACHER --rows semantic,pos --guidance paper --scale 0.1

Targets are the released Diffusion-LM control targets, their START, END and newline entries dropped;
fluency is the mean negative log-likelihood a token under the autoregressive teacher that
`benchmarks/teacher.py` trains (lm-score; nats, and its exponential). Seeds start at 0.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from dlm_controls import Avoid, Infill, Length, Pos, Semantic
from dlm_controls.semantic.e2e.oracle import contradictions, repetitions
from dlm_core.bundle import Model
from dlm_core.config import GuidanceConfig, SamplingConfig
from dlm_core.control.compose import as_controls
from dlm_core.control.verdict import Verdict
from dlm_core.evaluation.overlap import copied
from dlm_core.evaluation.teacher import Teacher
from dlm_core.evaluation.variety import distinct_n, distinct_share, self_bleu
from dlm_core.generation.generate import generate_batches
from dlm_core.generation.prepare import Request
from dlm_core.results import Result

FRAME = {"START", "END", "\n"}
SEMANTIC_PARTS = ("value", "right_field", "consistent")


@dataclass
class Bench:
    """What every row needs."""

    model: Model
    teacher: Teacher
    shared: Path
    sampling: SamplingConfig
    guidance: GuidanceConfig
    scale: float
    batch_size: int
    kept: dict[str, list[Result]]

    def targets(self, name: str) -> list[Any]:
        """Rows of control_targets/NAME.jsonl, the first `scale` of them."""
        path = self.shared / "data" / "control_targets" / f"{name}.jsonl"
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        return rows[: max(1, round(len(rows) * self.scale))]

    def texts(self, split: str) -> list[str]:
        """Texts of E2E train or valid."""
        path = self.shared / "data" / "e2e" / f"{split}.csv.gz"
        with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
            return [" ".join(row["ref"].split()) for row in csv.DictReader(stream)]

    def lm(self, texts: Sequence[str]) -> float:
        """Mean over texts of the mean NLL a token, nats."""
        return fmean(self.teacher.nll(list(texts)))

    def run(self, name: str, requests: Sequence[Request]) -> tuple[list[list[Result]], float]:
        """Results of each request, and seconds of sampling a text (verdicts left out)."""
        started = time.perf_counter()
        out: list[list[Result]] = [[] for _ in requests]
        total = sum(r.n for r in requests)
        done = 0
        for batch in generate_batches(
            self.model,
            requests,
            sampling=self.sampling,
            guidance=self.guidance,
            batch_size=self.batch_size,
            verify=False,
        ):
            for owner, result in batch:
                out[owner].append(result)
            done += len(batch)
            print(f"{name}: {done}/{total}", end="\r", file=sys.stderr, flush=True)
        seconds = (time.perf_counter() - started) / total
        self.kept[name] = [r for results in out for r in results]
        return out, seconds


def unconditional(bench: Bench) -> dict[str, float]:
    """500 free samples against 500 validation texts."""
    count = max(8, round(500 * bench.scale))
    (results,), seconds = bench.run("unconditional", [Request(n=count)])
    texts = [r.tokenised for r in results]
    valid = bench.texts("valid")
    real = random.Random(0).sample(valid, min(count, len(valid)))
    train = bench.texts("train")

    def faulty(group: Sequence[str]) -> float:
        return fmean(bool(contradictions(t.split()) or repetitions(t.split())) for t in group)

    lm, lm_valid = bench.lm(texts), bench.lm(valid)
    return {
        "n": count,
        "lm": lm,
        "lm_valid": lm_valid,
        "lm_ratio": lm / lm_valid,
        "distinct": distinct_share(texts),
        "self_bleu4": self_bleu(texts),
        "self_bleu4_valid": self_bleu(real),
        "distinct2": distinct_n(texts, 2),
        "distinct2_valid": distinct_n(real, 2),
        "verbatim": fmean(copied(texts, train)),
        "verbatim_valid": fmean(copied(real, train)),
        "contradiction_or_repetition": faulty(texts),
        "contradiction_or_repetition_valid": faulty(valid),
        "seconds_a_text": seconds,
    }


def _attribute(tokens: Sequence[str]) -> Semantic:
    field, _, value = " ".join(tokens).partition(" : ")
    return Semantic(field=field, value=value)


def _semantic_rates(
    specs: Sequence[Semantic], results: Sequence[Sequence[Result]]
) -> dict[str, float]:
    verdicts = [
        s.verify(r.tokenised) for s, group in zip(specs, results, strict=True) for r in group
    ]
    return {
        **{part: fmean(_part(v, part) for v in verdicts) for part in SEMANTIC_PARTS},
        "satisfied": fmean(bool(v.satisfied) for v in verdicts),
    }


def _part(verdict: Verdict, name: str) -> bool:
    return bool(verdict.parts and verdict.parts[name])


def _pos_rates(specs: Sequence[Pos], results: Sequence[Sequence[Result]]) -> dict[str, float]:
    verdicts = [
        s.verify(r.tokenised) for s, group in zip(specs, results, strict=True) for r in group
    ]
    return {
        "words": fmean(v.share or 0.0 for v in verdicts),
        "sentences": fmean(bool(v.satisfied) for v in verdicts),
    }


def _lm(bench: Bench, results: Sequence[Sequence[Result]]) -> float:
    return bench.lm([r.tokenised for group in results for r in group])


def semantic(bench: Bench) -> dict[str, float]:
    """40 targets x 20."""
    specs = [_attribute(t) for t in bench.targets("semantic")]
    results, seconds = bench.run("semantic", [Request(as_controls(s), 20) for s in specs])
    rates = _semantic_rates(specs, results)
    return {**rates, "lm": _lm(bench, results), "seconds_a_text": seconds}


def _framed(row: dict[str, Any]) -> tuple[list[str], list[str]]:
    pairs = [(p, w) for p, w in zip(row["pos"], row["words_"], strict=True) if w not in FRAME]
    return [p for p, _ in pairs], [w for _, w in pairs]


def pos(bench: Bench) -> dict[str, float]:
    """100 targets x 5."""
    pairs = [_framed(row) for row in bench.targets("pos")]
    specs = [Pos(tags=tuple(tags)) for tags, _ in pairs]
    results, seconds = bench.run("pos", [Request(as_controls(s), 5) for s in specs])
    lm, own = _lm(bench, results), bench.lm([" ".join(w) for _, w in pairs])
    rates = _pos_rates(specs, results)
    return {**rates, "lm": lm, "lm_targets": own, "lm_ratio": lm / own, "seconds_a_text": seconds}


def semantic_pos(bench: Bench) -> dict[str, float]:
    """100 targets x 5."""
    rows = bench.targets("semantic_pos")
    pairs = [_framed(row) for row in rows]
    tags = [Pos(tags=tuple(t)) for t, _ in pairs]
    facts = [_attribute(row["attr"]) for row in rows]
    results, seconds = bench.run(
        "semantic_pos", [Request(f + p, 5) for f, p in zip(facts, tags, strict=True)]
    )
    lm, own = _lm(bench, results), bench.lm([" ".join(w) for _, w in pairs])
    rates = _semantic_rates(facts, results) | _pos_rates(tags, results)
    return {**rates, "lm": lm, "lm_targets": own, "lm_ratio": lm / own, "seconds_a_text": seconds}


def four(bench: Bench) -> dict[str, float]:
    """100 targets x 5: a fact, the first five tags, two frequent words to avoid, the length."""
    rng = random.Random(0)
    rows = bench.targets("semantic_pos")
    frequent = Counter(w for text in bench.texts("train") for w in text.split() if w.isalpha())
    common = [w for w, _ in frequent.most_common(40)]
    facts, tags, avoided, own = [], [], [], []
    for row in rows:
        tag, words = _framed(row)
        fact = _attribute(row["attr"])
        lacking = [w for w in common if w not in words and w not in fact.value.split()]
        facts.append(fact)
        tags.append(Pos(tags=(*tag[:5], "...")))
        avoided.append(Avoid(tuple(rng.sample(lacking, 2))))
        own.append(words)
    sizes = [Length(len(words)) for words in own]
    specs = [f + t + a + n for f, t, a, n in zip(facts, tags, avoided, sizes, strict=True)]
    results, seconds = bench.run("four", [Request(spec, 5) for spec in specs])
    # of each text, the verdicts on fact, tags, words to avoid and length
    met = [
        [bool(spec.verify(result.tokenised).satisfied) for spec in parts]
        for *parts, group in zip(facts, tags, avoided, sizes, results, strict=True)
        for result in group
    ]
    # the same with the paper's measure of the fact: its words occur
    worded = [
        _part(fact.verify(result.tokenised), "value")
        for fact, group in zip(facts, results, strict=True)
        for result in group
    ]
    lm, target_lm = _lm(bench, results), bench.lm([" ".join(w) for w in own])
    rates = _semantic_rates(facts, results) | _pos_rates(tags, results)
    rates |= {"avoid": fmean(m[2] for m in met), "length": fmean(m[3] for m in met)}
    return {
        **rates,
        "all_four": fmean(all(m) for m in met),
        "all_four_value": fmean(v and all(m[1:]) for v, m in zip(worded, met, strict=True)),
        "lm": lm,
        "lm_targets": target_lm,
        "lm_ratio": lm / target_lm,
        "seconds_a_text": seconds,
    }


def length(bench: Bench) -> dict[str, float]:
    """5 .. 40 words x 10."""
    specs = [Length(n) for n in range(5, 41)]
    results, seconds = bench.run(
        "length", [Request(as_controls(s), max(1, round(10 * bench.scale))) for s in specs]
    )
    exact = [
        bool(s.verify(r.tokenised).satisfied)
        for s, group in zip(specs, results, strict=True)
        for r in group
    ]
    return {"exact": fmean(exact), "lm": _lm(bench, results), "seconds_a_text": seconds}


def infill_targets(bench: Bench, count: int = 200) -> Iterator[tuple[Infill, str]]:
    """Validation texts with 3 to 8 words cut out, whose context the model has words for."""
    rng = random.Random(0)
    texts = bench.texts("valid")
    rng.shuffle(texts)
    for text in texts:
        words = text.split()
        gap = rng.randint(3, 8)
        if count == 0:
            return
        if not gap + 4 <= len(words) <= bench.model.info.max_words:
            continue
        start = rng.randint(1, len(words) - gap - 1)
        left, right = words[:start], words[start + gap :]
        if all(w in bench.model.vocab for w in left + right):
            count -= 1
            yield Infill(left=" ".join(left), right=" ".join(right), words=gap), text


def infill(bench: Bench) -> dict[str, float]:
    """200 validation texts with a cut of 3-8 words."""
    targets = list(infill_targets(bench, max(1, round(200 * bench.scale))))
    results, seconds = bench.run("infill", [Request(as_controls(s), 1) for s, _ in targets])
    kept = [
        bool(s.verify(r.tokenised).satisfied)
        for (s, _), group in zip(targets, results, strict=True)
        for r in group
    ]
    lm, own = _lm(bench, results), bench.lm([text for _, text in targets])
    return {
        "context_kept": fmean(kept),
        "lm": lm,
        "lm_originals": own,
        "lm_ratio": lm / own,
        "seconds_a_text": seconds,
    }


ROWS: dict[str, Callable[[Bench], dict[str, float]]] = {
    "unconditional": unconditional,
    "semantic": semantic,
    "pos": pos,
    "length": length,
    "infill": infill,
    "semantic_pos": semantic_pos,
    "four": four,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="e2e")
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/")
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--guidance", default=GuidanceConfig().mode)
    parser.add_argument("--guidance-lr", type=float, default=GuidanceConfig().guidance_lr)
    parser.add_argument("--fluency", type=float, default=GuidanceConfig().fluency)
    parser.add_argument("--steps", type=int, default=SamplingConfig().steps)
    parser.add_argument("--temperature", type=float, default=SamplingConfig().temperature)
    parser.add_argument("--time-power", type=float, default=SamplingConfig().time_power)
    parser.add_argument(
        "--self-conditioning-temperature",
        type=float,
        default=SamplingConfig().self_conditioning_temperature,
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of the targets and samples")
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--out", type=Path, help="figures as JSON")
    parser.add_argument("--texts", type=Path, help="every sample as JSONL")
    args = parser.parse_args()
    bench = Bench(
        Model.load(args.model),
        Teacher.load(args.teacher),
        args.shared,
        SamplingConfig(
            steps=args.steps,
            temperature=args.temperature,
            time_power=args.time_power,
            self_conditioning_temperature=args.self_conditioning_temperature,
        ),
        GuidanceConfig(mode=args.guidance, guidance_lr=args.guidance_lr, fluency=args.fluency),
        args.scale,
        args.batch_size,
        {},
    )
    figures: dict[str, Any] = {
        "model": bench.model.info.sha256[:8],
        "steps": args.steps,
        "temperature": args.temperature,
        "guidance": args.guidance,
        "scale": args.scale,
    }
    for name in args.rows.split(","):
        row = ROWS[name](bench)
        row["texts"] = len(bench.kept[name])
        figures[name] = row
        print(name, "  ".join(f"{k} {v:.4g}" for k, v in row.items()), flush=True)
        if args.out:
            args.out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
        if args.texts:  # kept as they come, should a later row fail
            lines = [
                json.dumps({"row": row_name, **r.model_dump(mode="json")}, ensure_ascii=False)
                for row_name, results in bench.kept.items()
                for r in results
            ]
            args.texts.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
