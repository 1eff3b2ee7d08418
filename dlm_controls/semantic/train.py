"""Training of `semantic`: inventory of a corpus, phrases, tagger of fields, judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from dlm_controls.heads.tagger import train_tagger
from dlm_controls.semantic.inventory import INVENTORY, Field, Inventory, Value, survey
from dlm_controls.semantic.judge import NONE, Judge
from dlm_controls.semantic.learned import Learned
from dlm_controls.semantic.mine import Gram, Said, mine
from dlm_controls.semantic.roles import Roles
from dlm_controls.semantic.words import comparable, cut, find
from dlm_core.commands import command
from dlm_core.corpora import Example
from dlm_core.errors import UsageError, did_you_mean
from dlm_core.training.heads import of_whole_words, require_texts

if TYPE_CHECKING:
    from dlm_core.bundle import Model
    from dlm_core.vocab import Vocab

OUTSIDE = "O"
_CHECKED = 4_000
"""Texts at most that are looked at before there is a model."""
_MINED, _JUDGED, _HELD = 8_000, 8_000, 2_000
"""Texts at most: for the phrases, for the judge, and held out from both."""
_BETTER = 0.1  # share of the errors of always the same answer that a judge must do without
_DIFFUSE = 0.25  # texts with a value in which a phrase says it: in fewer it is diffuse
_SPELLINGS = 2  # of a phrase that is put into texts
Reads = Callable[[Example], Sequence[tuple[str, int, int]]]


def learn(examples: Sequence[Example], vocab: Vocab | None = None) -> tuple[Learned, Judge, Roles]:
    """Inventory, judge and the judge's cues, each from a part of the corpus of its own.

    Args:
        examples: texts with their fields.
        vocab: of the model that will write what says a value; any words without one.

    Raises:
        UsageError: the corpus has no fields, or none that its texts say.
    """
    require_texts(
        sum(bool(e.fields) for e in examples), len(examples),
        "have fields (columns of a CSV or JSONL beside the text, or a meaning representation)",
    )  # fmt: skip
    inventory = survey(examples)
    parts = _parts(examples)
    closed = [f for f, field in inventory.usable.items() if field.kind == "closed"]
    _say_closed(inventory, closed, parts.mined, vocab)
    names = {f: field for f, field in inventory.usable.items() if field.kind == "open"}
    inventory.cues = _roles(parts.mined, names).cues
    judge = Judge.train(
        [comparable(e.text) for e in parts.judged],
        {f: _classes(f, inventory.fields[f], parts.judged) for f in closed},
    )
    _measure(inventory, closed, judge, parts.held)
    learned = Learned(inventory, Path())
    _measure_reader(learned, parts.held)
    if not inventory.usable:
        raise _nothing_left(inventory)
    usable = [f for f in closed if f in inventory.usable]
    return Learned(inventory, Path()), judge.only(usable), _roles(parts.judged, names)


def check_fields(examples: Sequence[Example]) -> None:
    """Refuse what `learn` would, by some of the texts.

    Raises:
        UsageError: the corpus has no fields, or none that its texts say.
    """
    learn(Random(0).sample(list(examples), min(_CHECKED, len(examples))))


@dataclass(frozen=True)
class _Parts:
    mined: list[Example]
    judged: list[Example]
    held: list[Example]


def _parts(examples: Sequence[Example]) -> _Parts:
    """Three parts; equal texts fall into the same one."""
    groups: dict[str, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.text, []).append(example)
    texts = list(groups.values())
    Random(0).shuffle(texts)
    a, b = len(texts) * 45 // 100, len(texts) * 90 // 100
    mined, judged, held = (
        [example for group in part for example in group]
        for part in (texts[:a], texts[a:b], texts[b:])
    )
    return _Parts(mined[:_MINED], judged[:_JUDGED], held[:_HELD])


def _say_closed(
    inventory: Inventory,
    closed: Sequence[str],
    examples: Sequence[Example],
    vocab: Vocab | None,
) -> None:
    """Give each value of the closed fields its phrases; names keep theirs."""
    columns = {f: [e.fields.get(f) for e in examples] for f in inventory.usable}
    for f in closed:
        usable = {v for v, one in inventory.fields[f].values.items() if not one.why}
        columns[f] = [v if v in usable else None for v in columns[f]]
    said = mine([comparable(e.text) for e in examples], columns, closed)
    wanted = {gram for f in closed for one in said[f].values() for gram in one.whole}
    spelt = _surfaces(wanted, examples, vocab)
    for f in closed:
        for value, one in said[f].items():
            _put(inventory.fields[f].values, value, one, spelt)


def _put(
    values: dict[str, Value], value: str, one: Said, spelt: Mapping[Gram, Sequence[str]]
) -> None:
    phrases = [" ".join(phrase.words) for phrase in one.phrases]
    put = [surface for gram in one.whole for surface in spelt.get(gram, ())]
    values[value] = values[value].model_copy(update={"phrases": phrases, "put": put})


def _surfaces(
    wanted: set[Gram], examples: Sequence[Example], vocab: Vocab | None
) -> dict[Gram, list[str]]:
    """The usual spellings of phrases, in tokens of the model."""
    found: dict[Gram, Counter[str]] = {gram: Counter() for gram in wanted}
    longest = max(map(len, wanted), default=0)
    for example in examples:
        tokens = example.text.split()
        words, owners = cut(tokens)
        for at in range(len(words)):
            for size in range(1, min(longest, len(words) - at) + 1):
                counts = found.get(tuple(words[at : at + size]))
                first, last = owners[at], owners[at + size - 1]
                whole = owners[at - 1 : at] != [first] and owners[at + size : at + size + 1] != [
                    last
                ]
                if counts is not None and whole:
                    surface = tokens[first : last + 1]
                    if vocab is None or all(token in vocab for token in surface):
                        counts[" ".join(surface)] += 1
    usual: dict[Gram, list[str]] = {}
    for gram, counts in found.items():
        folded = {s.casefold(): s for s, _ in reversed(counts.most_common())}
        best = sorted(folded.values(), key=lambda s: -counts[s])[:_SPELLINGS]
        usual[gram] = [s for s in best if 10 * counts[s] >= counts[best[0]]]
    return usual


def _roles(examples: Sequence[Example], names: Mapping[str, Field]) -> Roles:
    """Which words stand beside the names of each field."""

    def mentions() -> Iterator[tuple[str, Sequence[str], int, int]]:
        for example in examples:
            words = comparable(example.text)
            for field in names:
                own = comparable(example.fields.get(field, ""))
                if own and (at := find(words, own)) >= 0:
                    yield field, words, at, at + len(own)

    return Roles.count(mentions())


def _classes(name: str, field: Field, examples: Sequence[Example]) -> list[str | None]:
    """The judge's class of each text: its value, NONE, or unknown where the value is not learnt."""
    values = (example.fields.get(name, NONE) for example in examples)
    known = {NONE, *(v for v, one in field.values.items() if not one.why)}
    return [value if value in known else None for value in values]


def _measure(
    inventory: Inventory, closed: Sequence[str], judge: Judge, held: Sequence[Example]
) -> None:
    """Try the judge on texts that nothing was learnt from; what it cannot read is not used."""
    read = [judge.read(comparable(e.text)) for e in held] if closed else []
    for name in closed:
        field = inventory.fields[name]
        classes = _classes(name, field, held)
        rows = [(v, found[name][0]) for v, found in zip(classes, read, strict=True) if v]
        if not rows:
            field.why = "no held-out text has it"
            continue
        right = sum(v == found for v, found in rows) / len(rows)
        most = Counter(v for v, _ in rows).most_common(1)[0][1] / len(rows)
        field.accuracy, field.majority = round(right, 4), round(most, 4)
        if right < most + _BETTER * (1 - most):
            field.why = (
                f"its values cannot be read off the texts: a judge is right in {right:.1%} of "
                f"{len(rows)} held-out texts, always '{_most(rows)[:40]}' in {most:.1%}"
            )


def _most(rows: Sequence[tuple[str, str]]) -> str:
    return Counter(v for v, _ in rows).most_common(1)[0][0]


def _measure_reader(learned: Learned, held: Sequence[Example]) -> None:
    """Precision and recall of the phrases; values that they do not say are diffuse."""
    read = [{m[:2] for m in learned.reader.read(e.text.split())} for e in held]
    for name, field in learned.known.items():
        said = [{v for f, v in facts if f == name} for facts in read]
        rows = [(e.fields.get(name), found) for e, found in zip(held, said, strict=True)]
        hits = Counter(v for v, found in rows if v in found)
        texts = Counter(v for v, _ in rows if v is not None)
        total = sum(len(found) for _, found in rows)
        field.read = (
            round(sum(hits.values()) / max(1, total), 4),
            round(sum(hits.values()) / max(1, sum(texts.values())), 4),
        )
        if field.kind == "open":
            continue
        for value, one in field.values.items():
            if one.why:
                continue
            one.said = round(hits[value] / max(1, texts[value]), 4)
            if one.said < _DIFFUSE or not one.put:
                one.why = f"diffuse: phrases say it in {one.said:.0%} of its texts"
        if all(one.why for one in field.values.values()):
            field.why = (
                "diffuse: no phrase says its values; control 'keyword' asks for words"
                if field.spelt > _DIFFUSE
                else f"diffuse: no phrase says its values, though a judge of all words is right in "
                f"{field.accuracy:.1%} of the texts (always the same: {field.majority:.1%}); "
                f"control 'classify' learns that, with '{name}' for the label"
            )


def _nothing_left(inventory: Inventory) -> UsageError:
    lines = [f"'{name}': {field.why}" for name, field in inventory.fields.items()]
    return UsageError(
        "no field can be asked for: " + "; ".join(lines[:8]),
        command("train", "control", "classify", "--data", "labelled.jsonl", "--name", "NAME"),
    )


def train_learned(
    model: Model,
    examples: Sequence[Example],
    out: Path,
    on_step: Callable[[int, int, float], None] | None = None,
    **options: Any,
) -> dict[str, float]:
    """See `Semantic.train`."""
    fitting = [e for e in examples if model.info.holds(e.text)]
    learned, judge, roles = learn(fitting, model.vocab)

    def reads(example: Example) -> list[tuple[str, int, int]]:
        return [(m.field, m.start, m.end) for m in learned.mentions(example)]

    figures = _train_fields(model, examples, learned.fields, reads, out, on_step, options)
    judge.save(out, roles.cues)
    learned.inventory.save(out)
    judged = {f"judge, {f}": field.accuracy for f, field in learned.known.items()}
    always = {f"always the same, {f}": field.majority for f, field in learned.known.items()}
    told = {name: value for name, value in (judged | always).items() if value is not None}
    return told | figures


def train_by_rules(
    rules: str,
    model: Model,
    examples: Sequence[Example],
    out: Path,
    on_step: Callable[[int, int, float], None] | None = None,
    **options: Any,
) -> dict[str, float]:
    """See `Semantic.train`."""
    from dlm_controls.semantic.e2e import reader, tables

    if rules != "e2e":
        raise UsageError(f"option '--rules': '{rules}'", did_you_mean(rules, ["e2e"]))

    def reads(example: Example) -> list[tuple[str, int, int]]:
        # A reading the corpus denies is no label to learn from.
        found = reader.read_mentions(example.text.split())
        kept = [m for m in found if not example.fields or m.field in example.fields]
        return [(m.field, m.start, m.end) for m in kept]

    (out / INVENTORY).unlink(missing_ok=True)
    return _train_fields(model, examples, tables.FIELDS, reads, out, on_step, options)


def _train_fields(
    model: Model,
    examples: Sequence[Example],
    fields: Sequence[str],
    reads: Reads,
    out: Path,
    on_step: Callable[[int, int, float], None] | None,
    options: Mapping[str, Any],
) -> dict[str, float]:
    """The tagger, on the words that say a fact."""
    labels = (OUTSIDE, *fields)
    examples = of_whole_words(examples, model.vocab)
    words, tags = [], []
    for example in examples:
        size = len(example.text.split())
        if not 0 < size <= model.info.max_words:
            continue
        row = [0] * size
        for field, start, end in reads(example):
            row[start:end] = [labels.index(field)] * (end - start)
        words.append(model.vocab.encode(example.text))
        tags.append(row)
    saying = sum(map(any, tags))
    require_texts(saying, len(examples), f"state a fact ({', '.join(fields[:3])}, ...)")
    figures = train_tagger(model, words, tags, labels, out, on_step=on_step, **options)
    return {"texts with a fact": round(saying / len(tags), 4), **figures}
