"""Random patterns, keywords and phrases to avoid: how many samples meet them, and how fluently.

    python benchmarks/patterns.py --shared ../shared --teacher TEACHER

Each request is made from a random E2E validation text (seed 0) whose words the model knows, so that
some text of its length meets it. The mix, in equal shares and in this order:

    words       * for a third of the words, at random
    runs        ... for one to three runs of one to six words
    choices     * for a fifth, a choice with one or two other words for a quarter
    mixed       all of these, and a `?` on one kept word and on one word that the text lacks
    keyword     one to three of its words (no punctuation, not among the 20 most frequent)
    avoid       one to three of the 40 most frequent words that it lacks

Satisfied is judged by Python's `re` on the text, apart from the package's own automata. `before` is
the share that was satisfied before the constrained rounding: the likeliest words of the last step,
as the controls leave them (`guided`) and as the denoiser alone predicts them (`denoiser`). Fluency
is the lm-score of the autoregressive teacher (see teacher.py), `lm_ratio` its ratio to that of the
texts the requests were made from.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from controls import Bench

from dlm_controls import Avoid, Keyword, Pattern
from dlm_core.bundle import Model
from dlm_core.config import GuidanceConfig, SamplingConfig
from dlm_core.control.compose import ControlSpec, as_controls
from dlm_core.evaluation.teacher import Teacher
from dlm_core.generation.prepare import Request
from dlm_core.results import Result


@dataclass(frozen=True)
class Target:
    """A request, the text it was made from, and what `re` must find in a text that meets it."""

    kind: str
    spec: ControlSpec
    source: str
    regex: str

    def met_by(self, text: str) -> bool:
        """Judge a text; each word is read with a blank behind it."""
        return re.fullmatch(self.regex, f"{text} ") is not None


@dataclass(frozen=True)
class Item:
    """One item of a pattern, in our language and for `re`."""

    ours: str
    regex: str


ONE = Item("*", r"[^ ]+ ")
RUN = Item("...", r"(?:[^ ]+ )*")


def word(text: str) -> Item:
    """A plain word."""
    ours = "\\..." if text == "..." else re.sub(r"([*?()|\\])", r"\\\1", text)
    return Item(ours, re.escape(f"{text} "))


def choice(words: Sequence[str]) -> Item:
    """One of these."""
    items = [word(w) for w in words]
    return Item(f"({'|'.join(i.ours for i in items)})", f"(?:{'|'.join(i.regex for i in items)})")


def optional(item: Item) -> Item:
    """This or nothing."""
    return Item(f"{item.ours}?", f"(?:{item.regex})?")


class Maker:
    """Makes requests from texts, with words of the corpus as distractors."""

    def __init__(self, texts: Sequence[str], model: Model, seed: int) -> None:
        self.rng = random.Random(seed)
        known = set(model.vocab.plain_words)
        longest = model.info.max_words
        self.texts = sorted(
            {t for t in texts if set(t.split()) <= known and 4 <= len(t.split()) <= longest}
        )
        counts = Counter(w for t in self.texts for w in t.split() if any(map(str.isalnum, w)))
        self.frequent = [w for w, _ in counts.most_common(40)]
        self.words = sorted(counts)

    def targets(self, count: int) -> Iterator[Target]:
        """So many requests, the kinds in turn."""
        kinds: list[tuple[str, Callable[[list[str]], tuple[ControlSpec, str]]]] = [
            ("words", lambda w: self._pattern(self._holes([word(x) for x in w], 1 / 3))),
            ("runs", lambda w: self._pattern(self._runs([word(x) for x in w]))),
            ("choices", lambda w: self._pattern(self._holes(self._choices(w), 1 / 5))),
            ("mixed", lambda w: self._pattern(self._mixed(w))),
            ("keyword", self._keyword),
            ("avoid", self._avoid),
        ]
        for k, source in enumerate(self.rng.sample(self.texts, count)):
            kind, make = kinds[k % len(kinds)]
            spec, regex = make(source.split())
            target = Target(kind, spec, source, regex)
            assert target.met_by(source), f"{spec} does not fit its own text: {source}"
            yield target

    def _pattern(self, items: Sequence[Item]) -> tuple[ControlSpec, str]:
        return Pattern(" ".join(i.ours for i in items)), "".join(i.regex for i in items)

    def _holes(self, items: list[Item], share: float) -> list[Item]:
        holes = set(self.rng.sample(range(len(items)), max(1, round(share * len(items)))))
        return [ONE if k in holes else item for k, item in enumerate(items)]

    def _runs(self, items: list[Item]) -> list[Item]:
        for _ in range(self.rng.randint(1, 3)):
            at = self.rng.randrange(len(items))
            items = [*items[:at], RUN, *items[at + self.rng.randint(1, 6) :]]
        return items

    def _choices(self, words: list[str]) -> list[Item]:
        items = [word(w) for w in words]
        for k in self.rng.sample(range(len(words)), max(1, len(words) // 4)):
            ways = [words[k], *self.rng.sample(self.words, self.rng.randint(1, 2))]
            self.rng.shuffle(ways)
            items[k] = choice(ways)
        return items

    def _mixed(self, words: list[str]) -> list[Item]:
        items = self._holes(self._choices(words), 1 / 5)
        at = self.rng.randrange(len(items))
        items[at] = optional(items[at])
        items.insert(self.rng.randrange(len(items)), optional(word(self.rng.choice(self.words))))
        return self._runs(items)

    def _keyword(self, words: list[str]) -> tuple[ControlSpec, str]:
        rare = sorted(set(words) & set(self.words) - set(self.frequent[:20])) or words
        picked = self.rng.sample(rare, min(len(rare), self.rng.randint(1, 3)))
        regex = "".join(f"(?=(?:[^ ]+ )*{word(w).regex})" for w in picked)
        return Keyword(tuple(picked)), f"{regex}(?:[^ ]+ )+"

    def _avoid(self, words: list[str]) -> tuple[ControlSpec, str]:
        missing = [w for w in self.frequent if w not in words]
        picked = self.rng.sample(missing, self.rng.randint(1, 3))
        regex = "".join(f"(?!(?:[^ ]+ )*{word(w).regex})" for w in picked)
        return Avoid(tuple(picked)), f"{regex}(?:[^ ]+ )+"


def figures(bench: Bench, pairs: Sequence[tuple[Target, list[Result]]]) -> dict[str, float]:
    """Shares and fluency of some targets' samples."""
    samples = [(target, result) for target, results in pairs for result in results]
    drafts = [(target, result.drafts or ("", "")) for target, result in samples]
    lm = bench.lm([result.tokenised for _, result in samples])
    own = bench.lm([target.source for target, _ in pairs])
    return {
        "n": len(samples),
        "satisfied": fmean(target.met_by(result.tokenised) for target, result in samples),
        "before_guided": fmean(target.met_by(guided) for target, (_, guided) in drafts),
        "before_denoiser": fmean(target.met_by(alone) for target, (alone, _) in drafts),
        "lm": lm,
        "lm_sources": own,
        "lm_ratio": lm / own,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="e2e")
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/")
    parser.add_argument("--limit", type=int, default=200, help="how many patterns")
    parser.add_argument("--samples", type=int, default=5, help="of each")
    parser.add_argument("--guidance", default=GuidanceConfig().mode)
    parser.add_argument("--steps", type=int, default=SamplingConfig().steps)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--out", type=Path, help="figures as JSON")
    parser.add_argument("--texts", type=Path, help="every sample as JSONL")
    args = parser.parse_args()
    bench = Bench(
        Model.load(args.model),
        Teacher.load(args.teacher),
        args.shared,
        SamplingConfig(steps=args.steps),
        GuidanceConfig(mode=args.guidance),
        1.0,
        args.batch_size,
        {},
    )
    targets = list(Maker(bench.texts("valid"), bench.model, 0).targets(args.limit))
    requests = [Request(as_controls(target.spec), args.samples) for target in targets]
    results, seconds = bench.run("patterns", requests)
    pairs = list(zip(targets, results, strict=True))
    if args.texts:
        rows = [
            {"kind": t.kind, "drafts": r.drafts, **r.model_dump(mode="json")}
            for t, group in pairs
            for r in group
        ]
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        args.texts.write_text(lines, "utf-8")
    out: dict[str, Any] = {
        "model": bench.model.info.sha256[:8],
        "steps": args.steps,
        "guidance": args.guidance,
        "seconds_a_text": seconds,
        "all": figures(bench, pairs),
    }
    for kind in dict.fromkeys(target.kind for target in targets):
        out[kind] = figures(bench, [pair for pair in pairs if pair[0].kind == kind])
    for name, row in out.items():
        if isinstance(row, dict):
            print(f"{name:8}", "  ".join(f"{k} {v:.4g}" for k, v in row.items()))
    print(f"{seconds:.3f} s a text")
    if args.out:
        args.out.write_text(json.dumps(out, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
