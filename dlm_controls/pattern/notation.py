r"""Word patterns: parsed, compiled to a minimal DFA, combined. Light: imports no torch.

    PATTERN := ITEM {blank ITEM}
    ITEM    := WORD | "*" | "..." | "(" PATTERN {"|" PATTERN} ")", each with "?" behind it or not

`*` is one word, `...` any number of words, `?` makes what it touches optional. A backslash takes
the next character as it is: `\?`, `\*`, `\(`, `\)`, `\|`, `\...` and `\\` are words.

The DFA reads word classes: each word the pattern names is one, all other words together another.
So its size depends on the pattern and not on the vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn

from dlm_controls.spelling import Spelling
from dlm_core.errors import SpecError


@dataclass(frozen=True)
class Word:
    """One word, and where it stands in the pattern."""

    text: str
    span: tuple[int, int] = (0, 0)


class Wildcard(Enum):
    """What is no word."""

    ONE = "*"
    RUN = "..."


@dataclass(frozen=True)
class Choice:
    """One of some sequences; of one sequence and the empty one where `?` stands."""

    sequences: tuple[tuple[Node, ...], ...]


Node = Word | Wildcard | Choice | Spelling
"""A `Spelling` has no notation: controls put it in for a phrase in all its forms."""
MAX_DEPTH = 50
"""Brackets within brackets."""
_TOKEN = re.compile(r"[()|?]|(?:\\.|[^\s()|?\\])+|\\")


def parse(pattern: str) -> tuple[Node, ...]:
    """Parse a pattern.

    Raises:
        SpecError: with the place; brackets do not match, something is empty, a `?` touches nothing.
    """
    parser = _Parser(pattern)
    nodes = parser.sequence("the pattern")
    if parser.token is not None:
        parser.fail("nothing to close or to choose from here", r"\) and \| are the plain signs")
    return nodes


class _Parser:
    """Recursive descent over the tokens of one pattern."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = iter(_TOKEN.finditer(source))
        self.token = next(self.tokens, None)
        self.depth = 0

    def fail(self, message: str, hint: str, span: tuple[int, int] | None = None) -> NoReturn:
        """Raise SpecError at the current token."""
        end = len(self.source)
        here = (end, end) if self.token is None else self.token.span()
        raise SpecError(message, source=self.source, span=span or here, hint=hint)

    def next(self) -> None:
        self.token = next(self.tokens, None)

    def at(self, sign: str) -> bool:
        return self.token is not None and self.token[0] == sign

    def sequence(self, what: str) -> tuple[Node, ...]:
        nodes: list[Node] = []
        while self.token is not None and self.token[0] not in (")", "|"):
            start = self.token.start()
            if self.at("\\"):
                self.fail("nothing behind the backslash", r"the plain sign is \\")
            if start and self.source[start - 1] not in " \t\n(|":
                self.fail("a blank must stand before this", r"for example: (a|b) c?")
            node = self.item()
            if self.at("?") and not self.source[self.token.start() - 1].isspace():
                node = Choice(((node,), ()))
                self.next()
            nodes.append(node)
        if not nodes:
            self.fail(f"{what} is empty", "to leave something out: a? or (a|b c)?")
        return tuple(nodes)

    def item(self) -> Node:
        assert self.token is not None
        text, span = self.token[0], self.token.span()
        if text == "(":
            return self.group(span)
        if text == "?":
            self.fail("nothing before this to make optional", r"the plain sign is \?")
        self.next()
        if text == "*":
            return Wildcard.ONE
        if text in ("...", "…"):
            return Wildcard.RUN
        return Word(re.sub(r"\\(.)", r"\1", text), span)

    def group(self, opened: tuple[int, int]) -> Choice:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"brackets stand at most {MAX_DEPTH} deep", "(a|b|c) needs one pair", opened)
        sequences: list[tuple[Node, ...]] = []
        while self.token is not None and (not sequences or self.at("|")):
            self.next()  # the bracket or the bar
            sequences.append(self.sequence("this alternative"))
        if not self.at(")"):
            self.fail("this bracket is not closed", r"the plain sign is \(", opened)
        self.next()
        self.depth -= 1
        return Choice(tuple(sequences))


def words_of(nodes: Iterable[Node]) -> Iterator[Word]:
    """The words of a pattern, as they stand in it."""
    for node in nodes:
        if isinstance(node, Word):
            yield node
        elif isinstance(node, Choice):
            for sequence in node.sequences:
                yield from words_of(sequence)
