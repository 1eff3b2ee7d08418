"""tree:"(TOP (S (NP * *) (VP * (NP * *))))": the constituents of the text."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator

from dlm_controls.pattern.automaton import Automaton, TooManyStatesError
from dlm_controls.pattern.language import WordAutomaton
from dlm_controls.pattern.notation import Wildcard, Word
from dlm_controls.spelling import ranks, split, unknown
from dlm_controls.tree.bracketing import (
    ANY,
    ROOTS,
    ParseTree,
    labelled_f1,
    plain_label,
    read_tree,
)
from dlm_controls.tree.labels import check_label
from dlm_controls.tree.span import Span
from dlm_core.control.compose import ControlSpec
from dlm_core.control.lengths import Lengths
from dlm_core.control.spec import SpecValueError
from dlm_core.control.verdict import Verdict
from dlm_core.errors import SpecError, shorten
from dlm_core.text import normal

if TYPE_CHECKING:
    from random import Random

    from dlm_core.bundle import Model, ModelInfo
    from dlm_core.control.protocol import BuildContext, Control
    from dlm_core.corpora import Example

TEXTS = 12_000
"""More are not parsed: the parser takes longer than the head does."""


class Tree(ControlSpec):
    """A constituency tree, in brackets; its leaves are words, or `*` for any word."""

    kind: ClassVar[str] = "tree"
    positional: ClassVar[tuple[str, ...]] = ("tree",)
    examples: ClassVar[tuple[str, ...]] = (
        'tree:"(TOP (S (NP * *) (VP * (NP * *)) *))"',
        'tree:"(TOP (S (NP The *) (VP serves (NP * food)) .))"',
    )

    most_texts: ClassVar[int] = TEXTS

    tree: str

    if TYPE_CHECKING:

        def __init__(self, tree: str) -> None: ...

    @field_validator("tree")
    @classmethod
    def _tidy(cls, text: str) -> str:
        tree = read_tree(text)
        if all(bracket.label in ROOTS for bracket in tree.brackets):
            raise SpecValueError("the tree has no constituent", f"for example {cls.examples[0]}")
        return str(tree)

    def body(self) -> str:
        """The tree in quotes."""
        return f'"{self.tree}"'

    @property
    def parsed(self) -> ParseTree:
        """Words and labelled spans."""
        return read_tree(self.tree)

    def check(self, info: ModelInfo) -> None:
        """Labels must be the parser's, words the model's."""
        parsed = self.parsed
        for label in dict.fromkeys(bracket.label for bracket in parsed.brackets):
            if label not in ROOTS:
                check_label(info, self.kind, label, self.tree)
        known = ranks(info.vocab.plain_words)
        for word in dict.fromkeys(parsed.words):
            if word == ANY or word in known:
                continue
            tokens = split(
                word, known
            )  # not cut here: each token is a leaf with a place of its own
            lacks = unknown(word, known)
            leaves = f"{len(tokens)} leaves: write {' '.join(tokens)}" if tokens else ""
            raise SpecError(
                f"control 'tree': the model does not know the word '{shorten(word)}'",
                source=self.tree,
                span=(at := self.tree.find(word), at + len(word)),
                hint=lacks.hint if lacks else leaves,
            )

    def excludes(self, other: ControlSpec, info: ModelInfo) -> str | None:
        """Its words against another's, its constituents against a span's or another tree's."""
        tree = self.parsed
        if isinstance(other, WordAutomaton):
            leaves = [Wildcard.ONE if word == ANY else Word(word) for word in tree.words]
            try:
                both = Automaton.compile(leaves) & other.automaton
            except TooManyStatesError:
                return None
            words = set(info.vocab.plain_words)
            return "no text with the tree's words meets both" if both.within(words).empty else None
        if isinstance(other, Span) and not _has_span(tree, other):
            return f"the tree has no {other.label} there"
        if isinstance(other, Tree):
            for word, own in zip(other.parsed.words, tree.words, strict=False):
                if ANY not in (word, own) and word != own:
                    return f"one has '{own}' where the other has '{word}'"
            if _labels(tree) != _labels(other.parsed):
                return "they have other constituents"
        return None

    def lengths(self, info: ModelInfo) -> Lengths:
        """As many words as leaves."""
        return Lengths(len(self.parsed.words), len(self.parsed.words))

    def build(self, context: BuildContext) -> Control:
        """Steer with the bundle's `tree` head; words of the tree are held."""
        from dlm_controls.tree.chart import load_head
        from dlm_controls.tree.control import tree_control

        return tree_control(load_head(context), self.parsed, context.vocab)

    def verify(self, text: str) -> Verdict:
        """Labelled bracket F1 of the oracle's tree, as the score; 1 is asked for.

        Raises:
            MissingError: benepar or a parser is not installed.
        """
        from dlm_controls.tree.oracle import parse_words

        words, wanted = normal(text).split(), self.parsed
        if len(words) != len(wanted.words):
            return Verdict(False, f"{len(words)} words, not {len(wanted.words)}", 0.0)
        for word, asked in zip(words, wanted.words, strict=True):
            if asked not in (ANY, word):
                return Verdict(False, f"'{word}' stands for '{asked}'", 0.0)
        (found,) = parse_words([words])
        if isinstance(found, str):
            return Verdict(None, found)
        f1 = labelled_f1(wanted, found)
        return Verdict(f1 == 1.0, "" if f1 == 1.0 else f"parsed as {found}", f1)

    @classmethod
    def check_training(
        cls,
        examples: Sequence[Example],
        parser: str | None = None,
        trees: Path | None = None,
        **options: Any,
    ) -> None:
        """The parser must be there, unless every text's tree may be."""
        from dlm_controls.tree.oracle import parse_words

        if trees is None or not trees.is_file():
            parse_words([["a"]], parser)

    @classmethod
    def draw_target(cls, example: Example, draws: Random, name: str) -> Tree | None:
        """Its tree, without words and tags."""
        from dlm_controls.tree.oracle import parse_words

        (tree,) = parse_words([example.text.split()])
        if isinstance(tree, str) or all(bracket.label in ROOTS for bracket in tree.brackets):
            return None
        size = len(tree.words)
        return cls(str(replace(tree, words=(ANY,) * size, tags=("",) * size)))

    def judged_by(self) -> str:
        """benepar and the parser."""
        from dlm_controls.tree.oracle import parser_version

        return parser_version()

    @classmethod
    def train(
        cls,
        model: Model,
        examples: Sequence[Example],
        out: Path,
        on_step: Callable[[int, int, float], None] | None = None,
        parser: str | None = None,
        trees: Path | None = None,
        **options: Any,
    ) -> dict[str, float]:
        """Parse the corpus by the oracle and train the head of `tree` and `span`.

        Args:
            model: whose words and noise the head learns.
            examples: texts; `TEXTS` of them, drawn at random, if there are more.
            out: folder of the head.
            on_step: called with step, steps and loss; while parsing with texts and NaN.
            parser: name or path of the oracle.
            trees: JSONL of parses, continued if it exists; beside `out` if omitted.
            options: steps, seed, ... of `dlm_controls.tree.train.train_head`.

        Raises:
            UsageError: too few texts, or too few of them have a constituent.
        """
        from dlm_controls.tree.oracle import parse_corpus
        from dlm_controls.tree.train import train_head
        from dlm_core.training.heads import require_texts

        def parsing(done: int, total: int) -> None:
            if on_step is not None:
                on_step(done, total, float("nan"))

        texts = sorted({e.text for e in examples if e.text.split()})
        random.Random(0).shuffle(texts)
        texts = [t for t in texts[:TEXTS] if len(t.split()) <= model.info.max_words]
        require_texts(
            len(texts), len(examples), f"are different and have 1 to {model.info.max_words} words"
        )
        found = parse_corpus(
            texts, trees or out.parent / f"{out.name}-parses.jsonl", parser, parsing
        )
        parsed = [tree for tree in found if not isinstance(tree, str)]
        if len(parsed) < len(found):
            reason = next(tree for tree in found if isinstance(tree, str))
            logging.getLogger("dlm").warning(
                f"{len(found) - len(parsed):,} of {len(found):,} texts are left out: {reason}"
            )
        usable = sum(any(b.label not in ROOTS for b in tree.brackets) for tree in parsed)
        require_texts(usable, len(examples), "have a constituent, as the parser reads them")
        return train_head(model, parsed, out, on_step=on_step, **options)


def _labels(tree: ParseTree) -> Counter[str]:
    return Counter(plain_label(b.label) for b in tree.brackets if b.label not in ROOTS)


def _has_span(tree: ParseTree, span: Span) -> bool:
    """Could the tree have this constituent? A mark at one of its ends may or may not belong."""
    return all(
        any(
            plain_label(bracket.label) == plain_label(label)
            and abs(bracket.start - span.start) + abs(bracket.end - span.end) <= 1
            for bracket in tree.brackets
        )
        for label in span.label.split("::")
    )
