"""One row of `meaning.py`: requests to texts, and what is measured of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import field as own
from statistics import fmean
from typing import Any

import meaning_figures as figures
import meaning_targets as targets_of
from facts_judge import FactsJudge, Judgement
from meaning_figures import Figure
from meaning_targets import Meaning, Target

from dlm_core.bundle import Model
from dlm_core.config import SamplingConfig
from dlm_core.errors import DLMError
from dlm_core.evaluation.teacher import Teacher
from dlm_core.generation.generate import generate_batches
from dlm_core.generation.prepare import Request
from dlm_core.natural import detokenise
from dlm_core.results import Result

Row = dict[str, Any]


@dataclass
class Bench:
    """What every row needs."""

    rows: list[Meaning]
    judge: FactsJudge
    teacher: Teacher | None = None
    model: Model | None = None
    sampling: SamplingConfig = own(default_factory=SamplingConfig)
    texts: int = 3
    limit: int | None = None
    until: int = 0
    way: str = "semantic"
    seed: int = 0
    same_seeds: bool = False
    batch_size: int = 50
    shown: dict[str, list[str]] = own(default_factory=dict)

    def nats(self, groups: Sequence[Sequence[str]]) -> list[float]:
        """Mean over a group's texts of the teacher's mean NLL a token."""
        assert self.teacher
        flat = iter(self.teacher.nll([text for group in groups for text in group]))
        return [fmean(next(flat) for _ in group) for group in groups]

    def source(self) -> tuple[Any, int]:
        """Vocabulary of the model, and the longest text it makes."""
        assert self.model
        return self.model.vocab, self.model.info.max_words

    def generate(self, requests: Sequence[Request], verify: bool = False) -> list[list[Result]]:
        """Texts of each request."""
        assert self.model
        out: list[list[Result]] = [[] for _ in requests]
        done, total = 0, sum(r.n for r in requests)
        for batch in generate_batches(
            self.model,
            requests,
            sampling=self.sampling,
            batch_size=self.batch_size,
            verify=verify,
        ):
            for owner, result in batch:
                out[owner].append(result)
            done += len(batch)
            print(f"{done}/{total}", end="\r", file=sys.stderr, flush=True)
        return out

    def again(self, requests: Sequence[Request]) -> list[list[Result]]:
        """Texts whose controls do not hold by their own verdict made anew, `until` times."""
        out = self.generate(requests, verify=True)
        total = sum(r.n for r in requests)
        for number in range(1, self.until + 1):
            failed = [
                (i, k)
                for i, group in enumerate(out)
                for k, result in enumerate(group)
                if result.satisfied is False
            ]
            if not failed:
                break
            fresh = [
                Request(requests[i].controls, 1, requests[i].seed + k + number * total)
                for i, k in failed
            ]
            for (i, k), (made,) in zip(failed, self.generate(fresh, verify=True), strict=True):
                out[i][k] = made
        return out


def requests_of(bench: Bench, targets: Sequence[Target]) -> tuple[list[Target], list[Request]]:
    """Targets that the model takes, and their requests; what it refuses is told and left out."""
    assert bench.model
    kept, requests = [], []
    for i, target in enumerate(targets):
        try:
            asked = target.asked() if callable(target.asked) else target.asked
            request = Request(asked, bench.texts, 0 if bench.same_seeds else i * bench.texts)
            for term in request.controls.terms:
                term.spec.check(bench.model.info)
        except DLMError as error:
            print(f"refused: {error.message}", file=sys.stderr)
        else:
            kept.append(target)
            requests.append(request)
    return kept, requests


def measure(bench: Bench, targets: Sequence[Target], texts: Sequence[Sequence[str]]) -> Row:
    """Facts by the judge, the rest by verdicts, and nats against the targets' references."""
    pairs = list(zip(targets, texts, strict=True))
    judged = [[bench.judge.judge(x, t.facts) for x in group] for t, group in pairs]
    held = [
        [all(bool(s.verify(x).satisfied) for s in t.judged) for x in group] for t, group in pairs
    ]
    out: Row = {"targets": len(targets), "texts": sum(map(len, texts))}
    if any(t.tree for t in targets):
        exact, f1 = _trees(pairs)
        held = [
            [a and b for a, b in zip(*two, strict=True)] for two in zip(held, exact, strict=True)
        ]
        out |= {"tree_exact": figures.share(exact), "tree_f1": figures.mean(f1)}

    def of(holds: Callable[[Judgement], bool]) -> list[list[bool]]:
        return [[holds(j) for j in group] for group in judged]

    out["consistent"] = figures.share(of(lambda j: j.consistent))
    out["once"] = figures.share(of(lambda j: j.once))
    if any(t.facts for t in targets):
        out["said"] = figures.share(of(lambda j: j.said))
        out["all_three"] = figures.share(of(lambda j: j.whole))
    if any(t.judged for t in targets):
        out["verdicts"] = figures.share(held)
        out["satisfied"] = figures.share(
            [
                [
                    v and (not t.facts or (j.said and j.consistent))
                    for v, j in zip(*two, strict=True)
                ]
                for t, *two in zip(targets, held, judged, strict=True)
            ]
        )
    if bench.teacher:
        nats, base = bench.nats(texts), bench.nats([t.references for t in targets])
        out["ratio"] = figures.ratio(nats, base)
        out["nats"], out["nats_references"] = fmean(nats), fmean(base)
    out["words"] = fmean(len(x.split()) for group in texts for x in group)
    return out


def _trees(pairs: Sequence[tuple[Target, Sequence[str]]]) -> tuple[list[list[bool]], list[float]]:
    from dlm_controls.tree.bracketing import labelled_f1
    from dlm_controls.tree.oracle import parse_words

    parsed = iter(parse_words([x.split() for _, group in pairs for x in group]))
    scores = [[labelled_f1(t.tree.parsed, next(parsed)) for _ in group] for t, group in pairs]
    return [[s == 1.0 for s in group] for group in scores], [fmean(group) for group in scores]


def run(
    bench: Bench, name: str, targets: Sequence[Target]
) -> tuple[Row, list[Target], list[list[str]]]:
    """Figures of a row's first texts, its targets and texts; with `until`, also the last texts'."""
    chosen = targets_of.drawn(targets, bench.limit, bench.seed)
    kept, requests = requests_of(bench, chosen)
    if not kept:
        return {"targets": 0, "refused": len(chosen)}, [], []
    began = time.perf_counter()
    results = bench.generate(requests)
    seconds = (time.perf_counter() - began) / sum(map(len, results))
    texts = [[r.tokenised for r in group] for group in results]
    row = measure(bench, kept, texts) | {"seconds_a_text": seconds}
    row["refused"] = len(chosen) - len(kept)
    if bench.until:
        last = [[r.tokenised for r in group] for group in bench.again(requests)]
        again = measure(bench, kept, last)
        row |= {f"until_{key}": value for key, value in again.items() if isinstance(value, Figure)}
    note(bench, name, kept, texts)
    return row, kept, texts


def note(
    bench: Bench, name: str, targets: Sequence[Target], texts: Sequence[Sequence[str]]
) -> None:
    """Keep each text beside what was asked and what the judge finds, for `--show`."""
    lines = []
    for target, group in zip(targets, texts, strict=True):
        asked = ", ".join(f"{f}[{v}]" for f, v in target.facts.items())
        asked += "".join(f" + {spec}" for spec in (*target.judged, target.tree) if spec)
        for text in group:
            j = bench.judge.judge(text, target.facts)
            parts = {"missing": j.missing, "wrong": j.wrong, "twice": j.repeated}
            found = "; ".join(f"{k} {v}" for k, v in parts.items() if v)
            lines.append(
                f"{asked}\n    {detokenise(text)}" + (f"\n    -> {found}" if found else "")
            )
    bench.shown[name] = lines
