"""What the rows of `meaning.py` ask for, drawn from E2E meaning representations and references."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import Any

from facts_judge import FIELDS, FactsJudge, facts, read_csv

from dlm_controls import Keyword, Pos, Semantic
from dlm_core.control.compose import Controls, ControlSpec, as_controls

UNKNOWN = ("The Copper Kettle", "Zum Anker", "Bella Napoli", "The Ox and Owl", "Harlekin 42")
CONTENT = {"NOUN", "ADJ", "VERB"}
TAGS = 6


@dataclass(frozen=True)
class Meaning:
    """A meaning representation and its references."""

    facts: Mapping[str, str]
    references: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """What one request asks, and what its texts are measured by.

    Attributes:
        asked: controls as `Request` takes them, or a function that makes them (it may refuse).
        facts: that the independent judge looks for.
        references: texts whose nats are the measure.
        judged: controls whose own verdict decides, beside the facts.
        tree: the bracketing to be met, or None.
    """

    asked: Any
    facts: Mapping[str, str]
    references: tuple[str, ...]
    judged: tuple[ControlSpec, ...] = ()
    tree: Any = field(default=None, compare=False)


def meanings(path: Path) -> list[Meaning]:
    """The different MRs of a CSV in order, each with all its references."""
    grouped: dict[str, list[str]] = {}
    for mr, ref in read_csv(path):
        grouped.setdefault(mr, []).append(ref)
    return [Meaning(facts(mr), tuple(refs)) for mr, refs in grouped.items()]


def drawn(items: Sequence[Any], limit: int | None, seed: int) -> list[Any]:
    """`limit` of `items`, in their order."""
    if limit is None or limit >= len(items):
        return list(items)
    return [items[i] for i in sorted(random.Random(seed).sample(range(len(items)), limit))]


def semantic(chosen: Mapping[str, str]) -> Controls:
    """One `semantic` a fact."""
    return joined([Semantic(field=f, value=v) for f, v in chosen.items()])


def joined(specs: Sequence[ControlSpec]) -> Controls:
    """All of `specs` at once."""
    return as_controls(reduce(add, specs))


def mr_string(chosen: Mapping[str, str]) -> str:
    """`mr:"name[The Mill], food[English]"`."""
    body = ", ".join(f"{f}[{v}]" for f, v in chosen.items())
    return f'mr:"{body}"'


def whole(rows: Sequence[Meaning], way: str) -> list[Target]:
    """Every fact of an MR: as one `mr` control or one `semantic` a fact."""
    ask: Callable[[Mapping[str, str]], Any] = mr_string if way == "mr" else semantic
    return [Target(partial(ask, m.facts), m.facts, m.references) for m in rows]


def some_facts(rows: Sequence[Meaning], count: int, seed: int) -> list[Target]:
    """`count` facts of each MR that has as many; more may be said."""
    rng = random.Random(seed)
    out = []
    for m in rows:
        held = [f for f in m.facts if f in FIELDS]
        if len(held) >= count:
            chosen = {f: m.facts[f] for f in sorted(rng.sample(held, count), key=held.index)}
            out.append(Target(semantic(chosen), chosen, m.references))
    return out


def unknown_name(rows: Sequence[Meaning], way: str, seed: int) -> list[Target]:
    """A name that the corpus lacks and three facts of each MR; references are renamed likewise."""
    rng = random.Random(seed)
    out = []
    for m in rows:
        held = [f for f in m.facts if f in FIELDS and f != "name"]
        if len(held) >= 3 and "name" in m.facts:
            name, kept = rng.choice(UNKNOWN), sorted(rng.sample(held, 3), key=held.index)
            chosen = {"name": name} | {f: m.facts[f] for f in kept}
            refs = tuple(r.replace(m.facts["name"], name) for r in m.references)
            out.extend(whole([Meaning(chosen, refs)], way))
    return out


def usable(m: Meaning, vocab: Any, limit: int) -> list[str]:
    """References that the model has words and room for."""
    return [
        r for r in m.references if len(r.split()) <= limit and all(w in vocab for w in r.split())
    ]


def sourced(rows: Sequence[Meaning], vocab: Any, limit: int, seed: int) -> Iterator[Any]:
    """(MR, one usable reference of it, its words, their tags) of each MR that has one."""
    from dlm_controls.pos.oracle import pos_tags

    rng = random.Random(seed)
    pairs = [(m, rng.choice(found)) for m in rows if (found := usable(m, vocab, limit))]
    words = [ref.split() for _, ref in pairs]
    for (m, ref), own, tags in zip(pairs, words, pos_tags(words), strict=True):
        yield m, ref, own, tags


def _said(judge: FactsJudge, m: Meaning, ref: str) -> list[str]:
    verdict = judge.judge(ref, m.facts)
    gone = {f for f, _ in verdict.missing}
    return [f for f in m.facts if f in FIELDS and f not in gone] if verdict.consistent else []


def facts_tags(
    rows: Sequence[Meaning], judge: FactsJudge, vocab: Any, limit: int, seed: int
) -> list[Target]:
    """Two facts and the first six tags of a reference that says both, then a gap."""
    rng = random.Random(seed)
    out = []
    for m, ref, _, tags in sourced(rows, vocab, limit, seed):
        held = _said(judge, m, ref)
        if len(held) >= 2 and len(tags) > TAGS:
            chosen = {f: m.facts[f] for f in sorted(rng.sample(held, 2), key=held.index)}
            pos = Pos(tags=(*tags[:TAGS], "..."))
            out.append(Target(joined([*_specs(chosen), pos]), chosen, (ref,), (pos,)))
    return out


def keywords(
    rows: Sequence[Meaning],
    judge: FactsJudge,
    vocab: Any,
    limit: int,
    seed: int,
    words: int,
    count: int = 0,
) -> list[Target]:
    """Content words of a reference, and `count` facts that it says."""
    rng = random.Random(seed)
    out = []
    for m, ref, own, tags in sourced(rows, vocab, limit, seed):
        pairs = zip(own, tags, strict=True)
        content = {w: None for w, t in pairs if t in CONTENT and w.isalpha() and w.islower()}
        held = _said(judge, m, ref) if count else []
        if len(content) < words or len(held) < count:
            continue
        keyword = Keyword(tuple(rng.sample(list(content), words)))
        chosen = {f: m.facts[f] for f in rng.sample(held, count)}
        out.append(Target(joined([keyword, *_specs(chosen)]), chosen, (ref,), (keyword,)))
    return out


def with_trees(targets: Sequence[Target]) -> list[Target]:
    """The targets with the tree of their reference asked as well, by the oracle parser."""
    from trees import bare

    from dlm_controls.tree.oracle import parse_words

    parsed = parse_words([t.references[0].split() for t in targets])
    out = []
    for target, tree in zip(targets, parsed, strict=True):
        spec = bare(tree)
        out.append(replace(target, asked=joined([*target.judged, spec]), tree=spec))
    return out


def _specs(chosen: Mapping[str, str]) -> list[ControlSpec]:
    return [Semantic(field=f, value=v) for f, v in chosen.items()]
