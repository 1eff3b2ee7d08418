"""Specs that nobody means: random, mutated, of a grammar, deep, huge, in any script."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence

KINDS = ("avoid", "classify", "infill", "keyword", "length", "pattern", "pos", "semantic", "span")
KINDS += ("tree",)
SIGNS = " ,:=@\"'()|*?.~-+/\\{}[]<>&%#\t\n\r\0"
SCRIPTS = "é\u0301ßĳΩжשא中あ한\U0001f600\u200b\u202e\ufeff\u2028\u0000\ud800\udcff\uffff–“”€£½٣Ⅷ"
NUMBERS = ("0", "-1", "1e999", "1e308", "nan", "inf", "0x10", "1_000", "9" * 400, "9" * 5000, "1.5")
NUMBERS += ("٣", "²", "-0", "+3", "10**9", str(2**31), str(2**63), str(2**64), "1e-400", "")
WORDS = ("The", "Mill", "pub", "cheap", "family", "-", "£", "20", "Japanese", ".", "Café", "zebra")
TAGS = ("NOUN", "DET", "ADJ", "AUX", "VERB", "PUNCT", "*", "...", "NOUM", "")
FIELDS = ("name", "near", "food", "Type", "price", "rating", "area", "family friendly", "foo", "")
DEPTHS = (10, 100, 1_000, 10_000, 100_000)


class Fuzzer:
    """Requests, each a list of specs, from a seed.

    Args:
        examples: good specs, to be damaged.
        words: of the model's vocabulary.
        seed: equal seeds give equal requests.
    """

    def __init__(self, examples: Sequence[str], words: Sequence[str], seed: int) -> None:
        self.examples, self.words = list(examples), [*words[:200], *WORDS]
        self.random = random.Random(seed)
        self.ways: tuple[tuple[Callable[[], str], int], ...] = (
            (self.noise, 3),
            (self.mutant, 8),
            (self.formed, 8),
            (self.body, 4),
            (self.deep, 1),
            (self.huge, 1),
        )

    def requests(self, count: int) -> list[list[str]]:
        """`count` requests: a spec mostly, two or three at times, seldom thousands."""
        return [self.request() for _ in range(count)]

    def request(self) -> list[str]:
        """The specs of a request."""
        if self.random.random() < 0.004:
            return [self.formed()] * self.random.choice((500, 2000))
        return [self.spec() for _ in range(self.random.choice((1, 1, 1, 2, 3)))]

    def spec(self) -> str:
        """One spec, in one of the ways."""
        ways, shares = zip(*self.ways, strict=True)
        spec: str = self.random.choices(ways, shares)[0]()
        if self.random.random() < 0.15:
            spec += "@" + self.random.choice((*NUMBERS, "0.5", "2"))
        return ("not " if self.random.random() < 0.1 else "") + spec

    def noise(self) -> str:
        """Characters that mean nothing, behind a kind or without."""
        kind = self.random.choice((*KINDS, "", "selector", "LENGTH"))
        alphabet = SIGNS + SCRIPTS + "aZ09"
        return kind + self.random.choice((":", ":", "")) + self.some(alphabet, 60)

    def some(self, alphabet: Sequence[str], most: int) -> str:
        """Up to so many of them, joined."""
        return "".join(self.random.choices(alphabet, k=self.random.randrange(most)))

    def mutant(self) -> str:
        """A good spec with a few places changed."""
        spec = self.random.choice(self.examples)
        for _ in range(self.random.randrange(1, 5)):
            a, b = sorted(self.random.randrange(len(spec) + 1) for _ in range(2))
            other = self.random.choice(self.examples)
            middle = self.random.choice(
                (
                    "",
                    spec[a:b] * self.random.choice((2, 3, 50)),
                    self.some(SIGNS + SCRIPTS, 4),
                    other[a:b],
                    self.random.choice(NUMBERS),
                    spec[a:b].swapcase(),
                    spec[a:b][::-1],
                )
            )
            spec = (spec[:a] + middle + spec[b:])[:20_000]
        return spec

    def formed(self) -> str:
        """Of the grammar of a kind, with values that may not be meant."""
        pick, kind = self.random.choice, self.random.choice(KINDS)
        number = lambda: pick((*NUMBERS, *map(str, range(1, 70, 7))))  # noqa: E731
        words = " ".join(self.random.choices(self.words, k=self.random.randrange(9)))
        bodies = {
            "length": f"{number()}{pick(('-', '..', '–', '', ' - '))}{number()}",
            "keyword": ",".join(self.random.choices(self.words, k=self.random.randrange(14))),
            "avoid": ",".join(f'"{w} {w}"' for w in words.split()),
            "infill": f"left={words},right={pick(self.words)},words={number()}",
            "pos": " ".join(self.random.choices(TAGS, k=self.random.randrange(1, 20))),
            "semantic": f"{pick(FIELDS)}={words}",
            "span": f"{number()},{number()},{pick(('NP', 'VP', 'NQ', ''))}",
            "pattern": self.nested(0),
            "tree": self.tree(0),
            "classify": f"{pick(('x', '~nosuch/x', '../..', '/dev/null', 'a' * 5000, ''))}={words}",
        }
        return f"{kind}:{bodies[kind]}"

    def nested(self, depth: int) -> str:
        """A pattern."""
        pick = self.random.choice
        parts = []
        for _ in range(self.random.randrange(1, 5)):
            inner = depth < 4 and self.random.random() < 0.4
            part = f"({self.nested(depth + 1)}|{self.nested(depth + 1)})" if inner else None
            part = part or pick((*self.words[:20], "*", "...", "|"))
            parts.append(part + pick(("", "", "", "?", "??")))
        return " ".join(parts)

    def tree(self, depth: int) -> str:
        """A tree in brackets."""
        label = self.random.choice(("TOP", "S", "NP", "VP", "PP", "XX", "*", ""))
        branch = [
            self.tree(depth + 1) if depth < 5 and self.random.random() < 0.5 else "*"
            for _ in range(self.random.randrange(4))
        ]
        return f"({label} {' '.join(branch)})"

    def body(self) -> str:
        """A JSON body."""
        names = ("words", "low", "high", "text", "left", "right", "fact", "field", "value", "tree")
        picked = self.random.sample(names, self.random.randrange(4))
        text = json.dumps({name: self.value(0) for name in picked})
        return f"{self.random.choice(KINDS)}:{text[: self.random.choice((None, None, -1, 9))]}"

    def value(self, depth: int) -> object:
        """Any JSON value."""
        pick = self.random.choice
        if depth < 3 and self.random.random() < 0.3:
            items = [self.value(depth + 1) for _ in range(self.random.randrange(3))]
            return pick((items, dict.fromkeys("ab", items)))
        return pick((None, True, -1, 10**30, 1e308, 0.5, "", "pub", "\ud800", "é", "9" * 400))

    def deep(self) -> str:
        """Brackets in brackets."""
        depth = self.random.choice(DEPTHS)
        kind = self.random.choice(("pattern", "tree", "length", "keyword", "semantic", "pos"))
        ends = {"pattern": ("(", "pub", ")"), "tree": ("(S ", "*", ")")}
        opening, middle, closing = ends.get(kind, ('{"words": ' if depth < 2000 else "[", "1", "]"))
        prefix = "" if kind in ends or depth < 2000 else '{"words": '
        closed = self.random.choice((depth, depth, 0, depth - 1))
        return f"{kind}:{prefix}{opening * depth}{middle}{closing * closed}"

    def huge(self) -> str:
        """Long, or of many parts."""
        pick, many = self.random.choice, self.random.choice((100, 700, 5_000, 80_000))
        words = self.random.choices(self.words, k=many)
        return pick(
            (
                f"keyword:{','.join(words)}",
                f"avoid:{','.join(words)}",
                f"pattern:... ({'|'.join(words)}) ...",
                f"pattern:{'... ' * many}",
                f"pattern:{'* ' * many}",
                f"pattern:{'pub? ' * many}",
                f"tree:(S {'* ' * many})",
                f"tree:{'x' * many * 6}",
                f"pos:{'NOUN ' * many}",
                f"infill:left={' '.join(words)}",
                f"semantic:name={'Zizzi ' * many}",
                f"length:{'9' * many}",
                f"classify:{'x' * many}=yes",
                "keyword:" + "a" * many,
            )
        )
