"""Constituency trees as bracketed text, their labelled spans, and labelled bracket F1.

A tree is its words and its labelled spans, outermost first: `(TOP (S (NP * *) (VP * *)))` is the
words `* * * *` and the spans TOP 0-3, S 0-3, NP 0-1, VP 2-3 (closed, 0-based). Spans over the same
words are a unary chain, its upper label first.

F1 follows EVALB with COLLINS.prm, the convention of published parsing results:

- TOP (ROOT, S1 or no label) is no bracket; neither are part-of-speech tags;
- words tagged , : . `` '' or -NONE- are taken out before spans are compared, and spans left
  empty vanish;
- ADVP and PRT are one label; functions (NP-SBJ, NP=2) are cut off;
- a span counts as often as it occurs; F1 is 2 * matched / (gold + test).

A wildcard leaf has no tag, so what is punctuation in either tree is taken out of both: the words
are the same ones. Trees of different numbers of words have F1 0.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dlm_core.control.spec import SpecValueError
from dlm_core.errors import shorten

ANY = "*"
ROOTS = ("TOP", "ROOT", "S1", "")
PUNCTUATION = (",", ":", ".", "``", "''", "-NONE-")
TAGS = {
    *PUNCTUATION,
    "#", "$", "-LRB-", "-RRB-", "ADD", "AFX", "CC", "CD", "DT", "EX", "FW", "GW", "HYPH", "IN",
    "JJ", "JJR", "JJS", "LS", "MD", "NFP", "NN", "NNP", "NNPS", "NNS", "PDT", "POS", "PRP", "PRP$",
    "RB", "RBR", "RBS", "RP", "SYM", "TO", "UH", "UNK", "VB", "VBD", "VBG", "VBN", "VBP", "VBZ",
    "WDT", "WP", "WP$", "WRB", "XX",
}  # fmt: skip
"""Part-of-speech tags of the Penn Treebank and its successors."""
_TOKEN = re.compile(r"[()]|[^\s()]+")
_ESCAPES = {"(": "-LRB-", ")": "-RRB-"}
_EXAMPLE = "for example (TOP (S (NP * *) (VP * (NP * *))))"


class Bracket(NamedTuple):
    """A labelled span: the words start..end, both included."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class ParseTree:
    """See the module docstring.

    Attributes:
        words: the leaves.
        brackets: outermost first, left to right.
        tags: part of speech of each word, "" where the tree gives none.
    """

    words: tuple[str, ...]
    brackets: tuple[Bracket, ...]
    tags: tuple[str, ...]

    def __str__(self) -> str:
        opened = Counter(s.start for s in self.brackets)
        closed = Counter(s.end for s in self.brackets)
        labels = iter(self.brackets)  # the spans that start at a word come in the order they open
        parts = []
        for i, (word, tag) in enumerate(zip(self.words, self.tags, strict=True)):
            leaf = _ESCAPES.get(word, word)
            opens = "".join(f"({next(labels).label} " for _ in range(opened[i]))
            parts.append(opens + (f"({tag} {leaf})" if tag else leaf) + ")" * closed[i])
        return " ".join(parts)

    def chains(self) -> dict[tuple[int, int], tuple[str, ...]]:
        """(start, end) -> labels over exactly these words, upper first; without the root."""
        found: dict[tuple[int, int], tuple[str, ...]] = {}
        for start, end, label in self.brackets:
            if label not in ROOTS:
                found[start, end] = (*found.get((start, end), ()), label)
        return found


def read_tree(text: str, *, all_tags: bool = False) -> ParseTree:
    """Read a bracketed tree.

    A bracket around a single word is its tag if it names one (`(NN *)`), else a constituent
    (`(NP *)`).

    Args:
        text: one tree.
        all_tags: every bracket around a single word is a tag, as in a treebank.

    Raises:
        SpecValueError: the brackets do not balance, or something is empty; place named.
    """
    words: list[str] = []
    tags: list[str] = []
    spans: list[Bracket | None] = []
    stack: list[tuple[int, int, str]] = []  # (index in spans, first word, label)
    tokens = list(_TOKEN.finditer(text))
    k = 0
    while k < len(tokens):
        token, at = tokens[k][0], tokens[k].start()
        if (words or spans) and not stack:
            raise SpecValueError(
                f"'{shorten(text[at:])}' stands after the end of the tree", _EXAMPLE
            )
        if token == "(":
            label = tokens[k + 1][0] if k + 1 < len(tokens) else ""
            label = "" if label in "()" else label
            if not label and stack:
                raise SpecValueError(f"the bracket at character {at + 1} has no label", _EXAMPLE)
            k += 1 if label else 0
            stack.append((len(spans), len(words), label))
            spans.append(None)
        elif not stack:
            raise SpecValueError("a tree starts with '('", _EXAMPLE)
        elif token == ")":
            index, start, label = stack.pop()
            if start == len(words):
                raise SpecValueError(f"'{label}' holds no words", _EXAMPLE)
            single = start == len(words) - 1 and index == len(spans) - 1 and not tags[start]
            if single and (all_tags or label in TAGS):
                spans.pop()
                tags[start] = label
            else:
                spans[index] = Bracket(start, len(words) - 1, label)
        else:
            words.append({v: c for c, v in _ESCAPES.items()}.get(token, token))
            tags.append("")
        k += 1
    if stack:
        missing = len(stack)
        raise SpecValueError(f"{missing} closing bracket{'s' * (missing > 1)} missing", _EXAMPLE)
    if not words:
        raise SpecValueError("the tree is empty", _EXAMPLE)
    return ParseTree(tuple(words), tuple(s for s in spans if s is not None), tuple(tags))


def plain_label(label: str) -> str:
    """EVALB's view of a label: no function, PRT as ADVP."""
    if not label.startswith("-"):
        label = re.split("[-=]", label, maxsplit=1)[0]
    return "ADVP" if label == "PRT" else label


def _brackets(tree: ParseTree, kept: Sequence[bool]) -> Counter[Bracket]:
    before = [0]  # words kept before each position
    for keep in kept:
        before.append(before[-1] + keep)
    return Counter(
        Bracket(before[s.start], before[s.end + 1] - 1, plain_label(s.label))
        for s in tree.brackets
        if s.label not in ROOTS and before[s.end + 1] > before[s.start]
    )


def matches(gold: ParseTree, test: ParseTree) -> tuple[int, int, int]:
    """Brackets (matched, in gold, in test) of two trees over the same words.

    Raises:
        ValueError: they have different numbers of words.
    """
    tags = zip(gold.tags, test.tags, strict=True)
    kept = [a not in PUNCTUATION and b not in PUNCTUATION for a, b in tags]
    a, b = _brackets(gold, kept), _brackets(test, kept)
    return (a & b).total(), a.total(), b.total()


def labelled_f1(gold: ParseTree, test: ParseTree) -> float:
    """Labelled bracket F1 in [0, 1]; 0 if there is nothing to compare but should be."""
    if len(gold.words) != len(test.words):
        return 0.0
    matched, in_gold, in_test = matches(gold, test)
    if in_gold + in_test == 0:  # all punctuation: right only if no bracket was asked for
        return float(all(s.label in ROOTS for s in gold.brackets))
    return 2 * matched / (in_gold + in_test)
