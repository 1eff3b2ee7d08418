"""span:i,j,LABEL: words i to j are a constituent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from dlm_controls.tree.labels import check_label, single_labels
from dlm_core.control.compose import ControlSpec
from dlm_core.control.lengths import Lengths
from dlm_core.control.spec import SpecValueError
from dlm_core.control.verdict import Place, Verdict
from dlm_core.text import normal

if TYPE_CHECKING:
    from random import Random

    from dlm_controls.tree.bracketing import ParseTree
    from dlm_core.bundle import ModelInfo
    from dlm_core.control.protocol import BuildContext, Control
    from dlm_core.corpora import Example


class Span(ControlSpec):
    """Words start..end (both included, from 0) are a constituent: `span:3,5,PP`."""

    kind: ClassVar[str] = "span"
    positional: ClassVar[tuple[str, ...]] = ("start", "end", "label")
    examples: ClassVar[tuple[str, ...]] = ("span:3,5,PP", "span:0,1,NP")
    head: ClassVar[str] = "tree"

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    label: str
    """One label, or a unary chain from above, `S::VP`."""

    if TYPE_CHECKING:

        def __init__(self, start: int, end: int, label: str) -> None: ...

    @field_validator("label")
    @classmethod
    def _named(cls, label: str) -> str:
        label = label.strip()
        if not all(label.split("::")):
            raise SpecValueError("is empty", "for example PP, or a chain such as S::VP")
        return label

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end < self.start:
            raise SpecValueError(
                f"the span {self.start},{self.end} ends before it starts",
                f"did you mean 'span:{self.end},{self.start},{self.label}'?",
            )
        return self

    @classmethod
    def known_values(cls, field: str, given: Mapping[str, Any], info: ModelInfo) -> Iterable[str]:
        """The labels of the model's parser."""
        return single_labels(info) if field == "label" else ()

    def body(self) -> str:
        """start,end,LABEL."""
        return f"{self.start},{self.end},{self.label}"

    @classmethod
    def draw_target(cls, example: Example, draws: Random, name: str) -> Span | None:
        """One of its constituents, not the whole of it."""
        from dlm_controls.tree.oracle import parse_words

        (tree,) = parse_words([example.text.split()])
        if isinstance(tree, str):
            return None
        inner = [b for b in tree.brackets if b.label and b.end - b.start < len(tree.words) - 1]
        return cls(*draws.choice(inner)) if inner else None

    def check(self, info: ModelInfo) -> None:
        """The label must be one of the parser's."""
        check_label(info, self.kind, self.label, str(self))

    def excludes(self, other: ControlSpec, info: ModelInfo) -> str | None:
        """Two spans that cross cannot both be constituents."""
        if not isinstance(other, Span):
            return None
        first, second = sorted((self, other), key=lambda span: span.start)
        if first.start < second.start <= first.end < second.end:
            return "the spans cross, and constituents of one tree never do"
        return None

    def lengths(self, info: ModelInfo) -> Lengths:
        """More words than `end`."""
        return Lengths(self.end + 1, None)

    def build(self, context: BuildContext) -> Control:
        """Steer with the bundle's `tree` head."""
        from dlm_controls.tree.chart import load_head
        from dlm_controls.tree.control import span_control

        return span_control(load_head(context), self.start, self.end, self.label)

    def verify(self, text: str) -> Verdict:
        """The oracle's tree has a constituent of this label over exactly these words.

        Raises:
            MissingError: benepar or a parser is not installed.
        """
        from dlm_controls.tree.oracle import parse_words

        words = normal(text).split()
        if len(words) <= self.end:
            return Verdict(False, f"only {len(words)} words")
        (found,) = parse_words([words])
        if isinstance(found, str):
            return Verdict(None, found)
        satisfied = self.holds(found)
        places = [Place(self.start, self.end + 1, self.label)]
        detail = "" if satisfied else f"parsed as {found}"
        return Verdict(satisfied, detail, places=places if satisfied else ())

    def judged_by(self) -> str:
        """benepar and the parser."""
        from dlm_controls.tree.oracle import parser_version

        return parser_version()

    def holds(self, tree: ParseTree) -> bool:
        """Some node, or chain of nodes, over exactly these words has the label."""
        chain = "::".join(tree.chains().get((self.start, self.end), ()))
        return f"::{self.label}::" in f"::{chain}::"
