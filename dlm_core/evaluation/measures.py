"""Figures of a set of judged texts: success, faults, fluency, variety, novelty.

`docs/metrics.md` defines each. Every function gives the figures that can be measured, none of what
cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from dlm_core.evaluation.figures import Figure, Units
from dlm_core.evaluation.judging import Judged
from dlm_core.evaluation.overlap import copied, longest_runs
from dlm_core.evaluation.variety import distinct_n, distinct_share, self_bleu_scores

if TYPE_CHECKING:
    from dlm_core.control.compose import Term
    from dlm_core.control.verdict import Verdict
    from dlm_core.evaluation.teacher import Teacher


def by_kind(term: Term) -> str:
    """`semantic`, `not semantic`."""
    return f"not {term.spec.kind}" if term.negated else term.spec.kind


def success(
    judged: Sequence[Judged], units: Units, group: Callable[[Term], str] = by_kind
) -> list[Figure]:
    """Of each group of controls the share that hold and their parts; before these, all together.

    Args:
        judged: texts and verdicts.
        units: what intervals resample.
        group: a control's group: its kind, or `judging.asked` for itself.
    """
    together = [None if j.satisfied is None else float(j.satisfied) for j in judged]
    if not any(j.verdicts for j in judged):
        return []
    figures = [units.figure("control", "%", together)]
    groups = dict.fromkeys(group(term) for j in judged for term in j.text.controls)
    for name in groups:
        rows = [
            [v for term, v in zip(j.text.controls, j.verdicts, strict=True) if group(term) == name]
            for j in judged
        ]
        held = [_share([v.satisfied for v in row]) for row in rows]
        if list(groups) != [name] or held != together:
            figures.append(units.figure(name, "%", held))
        scores = [_share([v.share for v in row]) for row in rows]
        if scores != held and any(v is not None for v in scores):
            figures.append(units.figure(f"{name}.score", "%", scores))
        for part in dict.fromkeys(part for row in rows for v in row for part in v.parts or ()):
            values = [_share([_part(v, part) for v in row]) for row in rows]
            figures.append(units.figure(f"{name}.{part}", "%", values))
    return figures


def _part(verdict: Verdict, name: str) -> bool | None:
    return None if verdict.parts is None else verdict.parts.get(name)


def _share(values: Sequence[bool | float | None]) -> float | None:
    """The mean of those that are known."""
    known = [float(v) for v in values if v is not None]
    return fmean(known) if known else None


def faults(judged: Sequence[Judged], units: Units) -> list[Figure]:
    """Of each fault that was looked for the share of texts that have it."""
    names = dict.fromkeys(name for j in judged for name in j.faults)
    return [
        units.figure(
            name, "%", [float(bool(j.faults[name])) if name in j.faults else None for j in judged]
        )
        for name in names
    ]


def fluency(tokens: Sequence[str], units: Units, teacher: Teacher) -> list[Figure]:
    """lm-score, a mean over texts; nats over all tokens; words that the teacher does not know.

    Texts longer than it reads are left out.
    """
    unread = set(teacher.too_long(tokens))
    read = [k for k in range(len(tokens)) if k not in unread]
    totals: list[tuple[float, int] | None] = [None] * len(tokens)
    for k, total in zip(read, teacher.totals([tokens[k] for k in read]), strict=True):
        totals[k] = total
    rows = [text.split() for text in tokens]
    strange = [
        (float(sum(not teacher.vocab.writes(word) for word in row)), float(len(row)))
        for row in rows
    ]
    return [
        units.figure("lm-score", "nats", [None if t is None else t[0] / t[1] for t in totals]),
        units.figure("token-nll", "nats", totals),
        units.figure("teacher-unk", "%", strange),
    ]


def variety(tokens: Sequence[str], units: Units) -> list[Figure]:
    """Of the set as a whole; and within targets, where all have two texts or more.

    A share of distinct n-grams has no interval: a resample holds texts twice, which is what it
    measures. self-BLEU's is of its mean over texts, each against the set as it is.
    """
    found = [Figure("distinct", distinct_share(tokens), "%", len(tokens))]
    for n in (1, 2):
        if any(len(text.split()) >= n for text in tokens):
            found.append(Figure(f"distinct-{n}", distinct_n(tokens, n), "%", len(tokens)))
    if len(tokens) > 1:
        found.append(units.figure("self-bleu-4", "points", self_bleu_scores(tokens)))
    groups: dict[int, list[int]] = {}
    for k, unit in enumerate(units.owner):
        groups.setdefault(unit, []).append(k)
    if units.what == "targets" and min(map(len, groups.values())) > 1:
        inside: list[float | None] = [None] * len(tokens)
        for places in groups.values():
            for k, score in zip(places, self_bleu_scores([tokens[k] for k in places]), strict=True):
                inside[k] = score
        found.append(units.figure("self-bleu-4.within", "points", inside))
    return found


def words(tokens: Sequence[str], units: Units) -> list[Figure]:
    """Length, and the share of words that are the mark UNK."""
    rows = [text.split() for text in tokens]
    unknown = [(float(row.count("UNK")), float(len(row))) for row in rows]
    return [
        units.figure("words", "words", [float(len(row)) for row in rows]),
        units.figure("unk", "%", unknown),
    ]


def novelty(tokens: Sequence[str], units: Units, corpus: Collection[str]) -> list[Figure]:
    """Whole copies of training texts; words of the longest run copied from one."""
    copies = [float(whole) for whole in copied(tokens, corpus)]
    runs = [float(n) for n in longest_runs(tokens, corpus)]
    return [
        units.figure("copied", "%", copies),
        units.figure("copied-run", "words", runs),
        Figure("copied-run.longest", max(runs), "words", len(runs)),
    ]
