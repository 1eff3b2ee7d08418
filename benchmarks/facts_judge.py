"""Which restaurant facts an E2E text states: a judge that shares nothing with what steers.

    python benchmarks/facts_judge.py TRAIN.csv.gz --half     # agreement with the corpus's own MRs
    python benchmarks/facts_judge.py TRAIN.csv.gz VALID.csv.gz

Regular expressions over lower-cased text, in the manner of the slot-error script of the cleaned
E2E corpus (Dusek et al. 2019, W19-8652), written anew and from references only: nothing of
`dlm_controls` or `dlm_core` is imported. Texts may be tokenised (`family - friendly`) or natural.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

from facts_words import (
    ADULTS,
    AFTER,
    AWAY,
    CLASSES,
    CLAUSE,
    DENIED,
    FAMILY,
    HEADS,
    LINKS,
    NEAR_EITHER,
    NEAR_LEFT,
    NEAR_RIGHT,
    NEGATION,
    NUMBERS,
    ONLY_RATING,
    OWN_VALUE,
    OWNED,
    PATTERNS,
    QUALITY,
    SENTENCE,
    SPELLINGS,
    STARS,
    WORD_VALUES,
)

FIELDS = (
    "name", "eatType", "food", "priceRange",
    "customer rating", "area", "familyFriendly", "near",
)  # fmt: skip
MERGE = 4  # words: mentions of one fact that stand nearer, in one sentence, are one statement


@dataclass(frozen=True)
class Mention:
    """A fact that a text states, and where (characters of the normalised text)."""

    field: str
    value: str
    start: int
    end: int

    @property
    def meaning(self) -> tuple[str, str]:
        """Field and what the value says; the same for values that agree."""
        return self.field, CLASSES.get((self.field, self.value), self.value)


@dataclass(frozen=True)
class Judgement:
    """What a text does with the facts of a meaning representation.

    Attributes:
        missing: facts that nothing in the text agrees with.
        wrong: facts said of a field that the MR gives another value.
        added: facts said of a field that the MR does not have.
        repeated: facts (not name or eatType) said in two separate places.
        contradictory: fields of which the text says two things that do not agree.
    """

    missing: tuple[tuple[str, str], ...]
    wrong: tuple[tuple[str, str], ...]
    added: tuple[tuple[str, str], ...]
    repeated: tuple[tuple[str, str], ...]
    contradictory: tuple[str, ...]

    @property
    def said(self) -> bool:
        """Every fact is said."""
        return not self.missing

    @property
    def consistent(self) -> bool:
        """Nothing goes against the facts, nor one thing in the text against another."""
        return not self.wrong and not self.contradictory

    @property
    def once(self) -> bool:
        """Nothing is said twice."""
        return not self.repeated

    @property
    def whole(self) -> bool:
        """All said, consistent, said once."""
        return self.said and self.consistent and self.once


def normal(text: str) -> str:
    """Lower case without accents, hyphens and pound signs joined, numbers as digits."""
    plain = unicodedata.normalize("NFKD", text.replace("’", "'").replace("–", "-")).lower()
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    plain = re.sub(r"\s+", " ", plain)
    plain = re.sub(r"(?<=\w) (?:- )(?=\w)", "-", plain)
    plain = re.sub(r"£ (?=\d)", "£", plain)
    plain = plain.replace("n 't", "n't")
    plain = re.sub(r" (?='(?:s|re|ve)\b)| (?=n't\b)", "", plain)
    plain = re.sub(r"(?<=s) ' (?=\w)", "' ", plain)
    plain = re.sub(r" (?=[.,;!?])", "", plain)
    numbers = "|".join(NUMBERS)
    spelled = re.compile(
        rf"\b(?:{numbers})(?=[- ](?:out|stars?|pounds?)\b| of (?:5|five)\b)"
        rf"|(?<=out of )(?:{numbers})|(?<=rating of )(?:{numbers})"
    )
    plain = spelled.sub(lambda m: NUMBERS.get(m[0], m[0]), plain)
    return re.sub(r"\b(?:thirty|30) pounds?", "£30", re.sub(r"\btwenty[- ]five\b", "25", plain))


def agree(field: str, one: str, other: str) -> bool:
    """Whether two values of a field say the same."""
    if field == "eatType" and "restaurant" in (one, other):
        return True
    if field in ("name", "near"):
        return normal(one) == normal(other)
    a, b = ({CLASSES.get((field, v), v.lower())} for v in (one, other))
    return a == b


class FactsJudge:
    """Reads facts off texts; names and places are a closed list, given."""

    def __init__(self, names: Iterable[str], places: Iterable[str]) -> None:
        """Take the values of `name` and of `near` that texts may hold."""
        self.names = {normal(v): v for v in names}
        self.places = {normal(v): v for v in places}

    @classmethod
    def of(cls, mrs: Iterable[Mapping[str, str]]) -> FactsJudge:
        """With the names and places of meaning representations."""
        rows = list(mrs)
        found = [sorted({r[f] for r in rows if f in r}) for f in ("name", "near")]
        return cls(*found)

    @cached_property
    def _proper(self) -> re.Pattern[str]:
        values = sorted(self.names | self.places, key=len, reverse=True)
        self._groups = {f"g{i}": value for i, value in enumerate(values)}
        return re.compile("|".join(f"(?P<g{i}>{_spelled(v)})" for i, v in enumerate(values)))

    def mentions(self, text: str) -> list[Mention]:
        """Every fact stated, in order; statements of a fact close to one another are one."""
        plain = normal(text)
        found = list(self._proper_names(plain))
        for m in found:  # so that no word of a name states a fact
            plain = f"{plain[: m.start]}{'_' * (m.end - m.start)}{plain[m.end :]}"
        for field, value, pattern in PATTERNS:
            spans = [m.span() for m in pattern.finditer(plain)]
            found += [
                Mention(field, value, *span)
                for span in spans
                if field != "area" or not AWAY.search(plain[: span[0]])
            ]
        found += [*_stars(plain), *_family(plain)]
        found += _qualities(plain, found)
        kept: list[Mention] = []
        for m in sorted(found, key=lambda m: (m.start, m.end)):
            before = [k for k in kept if k.meaning == m.meaning]
            if not before or m.field == "near" or _apart(plain, before[-1].end, m.start):
                kept.append(m)
            else:
                kept[kept.index(before[-1])] = Mention(
                    m.field, before[-1].value, before[-1].start, max(m.end, before[-1].end)
                )
        return kept

    def read(self, text: str) -> Counter[tuple[str, str]]:
        """How many times each fact is stated."""
        return Counter((m.field, m.value) for m in self.mentions(text))

    def judge(self, text: str, mr: Mapping[str, str]) -> Judgement:
        """Compare what a text states with the facts of `mr`, whose names need not be known."""
        name, place = mr.get("name", ""), mr.get("near", "")
        if (name and normal(name) not in self.names) or (
            place and normal(place) not in self.places
        ):
            names, places = [*self.names.values(), name], [*self.places.values(), place]
            return _wider(tuple(filter(None, names)), tuple(filter(None, places))).judge(text, mr)
        said = [
            replace(m, field="near") if m.field == "name" and place == m.value != name else m
            for m in self.mentions(text)
        ]
        values = {f: [m.value for m in said if m.field == f] for f in FIELDS}
        times = Counter(m.meaning for m in said if m.field not in ("name", "eatType"))
        first = {m.meaning: (m.field, m.value) for m in reversed(said)}
        facts = [
            (m.field, m.value) for m in said if (m.field, m.value) != ("eatType", "restaurant")
        ]
        # "restaurant" suits every eatType, but is not what an asked "pub" means
        held = {f: [v for v in vs if f != "eatType" or v == mr.get(f) or mr.get(f) == "restaurant"]
                for f, vs in values.items()}  # fmt: skip
        return Judgement(
            tuple((f, v) for f, v in mr.items()
                  if f in FIELDS and not any(agree(f, v, s) for s in held[f])),
            tuple((f, v) for f, v in facts if f in mr and not agree(f, v, mr[f])),
            tuple((f, v) for f, v in facts if f not in mr),
            tuple(first[meaning] for meaning, n in times.items() if n > 1),
            tuple(f for f, vs in values.items()
                  if any(not agree(f, a, b) for a in vs for b in vs)),
        )  # fmt: skip

    def _proper_names(self, plain: str) -> Iterator[Mention]:
        found = [(m, self._groups[str(m.lastgroup)]) for m in self._proper.finditer(plain)]
        several = len({value for _, value in found if value in self.names}) > 1
        for m, value in found:
            left = NEAR_EITHER if several and value in self.places else NEAR_LEFT
            near = left.search(plain[: m.start()]) or NEAR_RIGHT.match(plain[m.end() :])
            if value not in self.names or near:
                yield Mention("near", self.places.get(value, self.names.get(value, "")), *m.span())
            else:
                yield Mention("name", self.names[value], *m.span())


@lru_cache(maxsize=64)
def _wider(names: tuple[str, ...], places: tuple[str, ...]) -> FactsJudge:
    return FactsJudge(names, places)


def _spelled(value: str) -> str:
    words = value.removeprefix("the ").split()
    plain = r"[ -]?".join(
        re.escape(w[:-1]) + "'?s?" if w.endswith("s") and len(w) > 3 else re.escape(w)
        for w in words
    )
    extra = SPELLINGS.get(value)
    return rf"\b(?:the )?(?:{plain}{'|' + extra if extra else ''})(?:'s)?(?!\w)"


def _apart(plain: str, end: int, start: int) -> bool:
    between = plain[end:start]
    return bool(SENTENCE.search(between)) or len(re.findall(r"[\w'£]+", between)) > MERGE


def _stars(plain: str) -> Iterator[Mention]:
    for m in STARS.finditer(plain):
        number = next(g for g in m.groups() if g)
        yield Mention("customer rating", f"{number} out of 5", *m.span())


def _family(plain: str) -> Iterator[Mention]:
    for m in FAMILY.finditer(plain):
        rest = plain[m.end() :]
        if OWNED.match(rest) and not re.search(r"friendly|welcom", rest[:40]):
            continue
        left = CLAUSE.split(plain[: m.start()])[-1]
        right = SENTENCE.split(rest)[0]
        no = NEGATION.search(left) or AFTER.match(CLAUSE.split(right)[0])
        yield Mention("familyFriendly", "no" if no else "yes", *m.span())
    for m in ADULTS.finditer(plain):
        yield Mention("familyFriendly", "no", *m.span())


def _qualities(plain: str, found: list[Mention]) -> Iterator[Mention]:
    """`high`, `low`, `average` and their like, given to the nouns that they stand with."""
    stars = [m.start for m in found if m.field == "customer rating"]
    for sentence in re.finditer(r"(?:[^.!?]|[.!?](?! |$))+", plain):
        heads = list(HEADS.finditer(plain, *sentence.span()))
        for i, m in enumerate(heads):
            if str(m.lastgroup) not in QUALITY:
                continue
            for field in _nouns(plain, heads, i):
                counted = field == "customer rating" and any(-2 <= s - m.end() < 30 for s in stars)
                if m.lastgroup == "middle" and m[0].startswith("average") and counted:
                    continue  # "an average rating of 1 out of 5" is a mean
                if field == "priceRange" and ONLY_RATING.match(m[0]):
                    continue
                level = str(m.lastgroup)
                if DENIED.search(plain[: m.start()]):
                    level = {"high": "low", "low": "high"}.get(level, "low")
                yield Mention(field, WORD_VALUES[field, level], *m.span())


def _nouns(plain: str, heads: list[re.Match[str]], i: int) -> list[str]:
    """Fields of the nouns that quality `heads[i]` belongs to: on the right, else on the left."""
    out: list[str] = []
    at = heads[i].end()
    for m in heads[i + 1 :]:
        between = plain[at : m.start()]
        near = len(between.split()) <= 3
        if str(m.lastgroup) in QUALITY or not near or re.search(r"[,;:]|\bbut\b|\bwith\b", between):
            break
        if m[0] in ("rated", "ranked", "reviewed") and between.strip(" -") not in ("", "customer"):
            break  # "a moderate pub rated ..." does not rate it moderate
        if out and OWN_VALUE.match(plain[m.end() :]):
            break
        if out and not re.fullmatch(r"[ -]*(?:range)? ?(?:and )?(?:customer )?", between):
            break
        if not out and re.search(r"\band\b", between):
            break
        out.append(str(m.lastgroup).replace("_", " "))
        at = m.end()
    if out or i == 0 or str(heads[i - 1].lastgroup) in QUALITY:
        return list(dict.fromkeys(out))
    between = plain[heads[i - 1].end() : heads[i].start()]
    if LINKS.fullmatch(between):
        return [str(heads[i - 1].lastgroup).replace("_", " ")]
    return []


def facts(mr: str) -> dict[str, str]:
    """`name[The Mill], food[English]` as a mapping."""
    return {f.strip(): v.strip() for f, v in re.findall(r"([^,\[\]]+)\[([^\]]*)\]", mr)}


def read_csv(path: Path) -> list[tuple[str, str]]:
    """(MR, reference) of each row of a CSV, which may be gzipped."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as stream:
        return [(row["mr"], " ".join(row["ref"].split())) for row in csv.DictReader(stream)]


def agreement(judge: FactsJudge, rows: Iterable[tuple[str, str]]) -> dict[str, float]:
    """Shares of references whose facts are those of their MR, and each field's P and R."""
    counts: Counter[str] = Counter()
    total = 0
    for mr, ref in rows:
        total += 1
        asked = facts(mr)
        j = judge.judge(ref, asked)
        counts.update(k for k in ("said", "consistent", "once", "whole") if getattr(j, k))
        counts["exact"] += j.said and j.consistent and not j.added
        counts["exact, once"] += j.whole and not j.added
        gone = {f for f, _ in j.missing}
        for f in asked:
            counts[f"{f} meant"] += 1
            counts[f"{f} hit"] += f not in gone
        for f in (*{f for f, _ in j.wrong}, *{f for f, _ in j.added}):
            counts[f"{f} false"] += 1
    out = {
        k: counts[k] / total
        for k in ("said", "consistent", "once", "whole", "exact", "exact, once")
    }
    for f in FIELDS:
        hit = counts[f"{f} hit"]
        out[f"{f} P"] = hit / max(1, hit + counts[f"{f} false"])
        out[f"{f} R"] = hit / max(1, counts[f"{f} meant"])
    return out


def main() -> None:
    """Print the agreement for each file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, help="CSV with mr and ref")
    parser.add_argument("--half", action="store_true", help="half of the rows, for writing rules")
    parser.add_argument("--show", type=int, default=0, help="print N references that disagree")
    args = parser.parse_args()
    corpora = {path: read_csv(path) for path in args.files}
    judge = FactsJudge.of(facts(mr) for rows in corpora.values() for mr, _ in rows)
    for path, rows in corpora.items():
        random.Random(0).shuffle(rows)
        used = rows[: len(rows) // 2] if args.half else rows
        print(path.name, len(used), "references")
        print("  ".join(f"{k} {v:.3f}" for k, v in agreement(judge, used).items()))
        shown = 0
        for mr, ref in used:
            j = judge.judge(ref, facts(mr))
            if shown < args.show and not (j.whole and not j.added):
                shown += 1
                print(mr, ref, j, sep="\n  ")


if __name__ == "__main__":
    main()
