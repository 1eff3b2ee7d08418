"""tree:"(TOP (S (NP * *) (VP * (NP * *))))": the constituents of the text."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator

from dlm_controls.tree.bracketing import ANY, ROOTS, ParseTree, labelled_f1, read_tree
from dlm_controls.tree.labels import check_label
from dlm_core.control.compose import ControlSpec
from dlm_core.control.lengths import Lengths
from dlm_core.control.spec import SpecValueError
from dlm_core.control.verdict import Verdict
from dlm_core.errors import SpecError, did_you_mean

if TYPE_CHECKING:
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
        for bracket in parsed.brackets:
            if bracket.label not in ROOTS:
                check_label(info, self.kind, bracket.label, self.tree)
        words = info.vocab.plain_words
        for word in parsed.words:
            if word != ANY and word not in words:
                raise SpecError(
                    f"control 'tree': the model does not know the word '{word}'",
                    source=self.tree,
                    span=(at := self.tree.find(word), at + len(word)),
                    hint=did_you_mean(word, words),
                )

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

        words, wanted = text.split(), self.parsed
        if len(words) != len(wanted.words):
            return Verdict(False, "another number of words", 0.0)
        for word, asked in zip(words, wanted.words, strict=True):
            if asked not in (ANY, word):
                return Verdict(False, f"'{word}' stands for '{asked}'", 0.0)
        (found,) = parse_words([words])
        f1 = labelled_f1(wanted, found)
        return Verdict(f1 == 1.0, "" if f1 == 1.0 else f"parsed as {found}", f1)

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
        usable = sum(any(b.label not in ROOTS for b in tree.brackets) for tree in found)
        require_texts(usable, len(examples), "have a constituent, as the parser reads them")
        return train_head(model, found, out, on_step=on_step, **options)
