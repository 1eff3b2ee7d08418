"""infill:left=...,right=... or infill:"The ... went to ... .": write what is missing in a text.

Classifier-free. One gap is held open between two fixed sides; several are the automaton of a
pattern, which knows no places: exact over all of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from dlm_controls.pattern.automaton import Automaton
from dlm_controls.pattern.language import WordAutomaton, warn
from dlm_controls.pattern.notation import Node, Wildcard, Word, parse, words_of
from dlm_controls.spelling import Spelling, ranks, split_text
from dlm_core.control.grammar import split_body, unquote
from dlm_core.control.lengths import Lengths
from dlm_core.control.spec import SpecValueError
from dlm_core.control.verdict import Place, Verdict
from dlm_core.corpora.prepare import split_sentences
from dlm_core.errors import SpecError
from dlm_core.sentences import sentence_lengths
from dlm_core.text import normal

if TYPE_CHECKING:
    from random import Random

    from torch import Tensor

    from dlm_core.bundle import ModelInfo
    from dlm_core.control.compose import ControlSpec
    from dlm_core.control.protocol import BuildContext, Control
    from dlm_core.control.state import State
    from dlm_core.corpora import Example


RARE = 1e-6
"""Of a number of words that no sentence has: it may be asked for."""
_GAP = re.compile(r"(?<!\S)(\*|\.\.\.|…)(?!\S)")


class Infill(WordAutomaton):
    """Words for the gaps of a text, or between a left and a right text, which come back."""

    kind: ClassVar[str] = "infill"
    normalised: ClassVar[bool] = False  # known words are held, not made likely
    positional: ClassVar[tuple[str, ...]] = ("text",)
    examples: ClassVar[tuple[str, ...]] = (
        "infill:left=The Mill is,right=near Burger King .",
        "infill:left=The Mill,right=Burger King .,words=6",
        'infill:"The ... is a * pub near ... ."',
    )

    left: str = ""
    right: str = ""
    words: int | None = Field(default=None, ge=1, le=100_000)
    """Words to write; drawn from the lengths the model knows if omitted."""
    text: str = ""
    """Of several gaps, as a pattern: `...` for one word or more, `*` for each of a known number."""

    if TYPE_CHECKING:

        def __init__(
            self, text: str = "", *, left: str = "", right: str = "", words: int | None = None
        ) -> None: ...

    @classmethod
    def fields_from_body(cls, body: str) -> dict[str, Any]:
        """A text with gaps, or named fields."""
        names = tuple(cls.model_fields)
        text = unquote(body)
        if _GAP.search(text) and not re.match(rf"\s*({'|'.join(names)})=", body):
            return {"text": text}
        return split_body(body, names, ())

    @model_validator(mode="before")
    @classmethod
    def _sides_of_one_gap(cls, data: Any) -> Any:
        """A text with one gap is its left and right."""
        if not isinstance(data, dict) or not isinstance(data.get("text"), str) or not data["text"]:
            return data
        text = " ".join(data["text"].split())
        if given := [name for name in ("left", "right", "words") if data.get(name)]:
            raise SpecValueError(
                f"a text with gaps and '{given[0]}' exclude each other", "leave one of them out"
            )
        nodes = parse(text)
        gaps = [k for k, node in enumerate(nodes) if isinstance(node, Wildcard)]
        if not gaps:
            end = len(text)
            raise SpecError(
                "no gap in it", source=text, span=(end, end),
                hint="... stands for one word or more, * for one",
            )  # fmt: skip
        sides = nodes[: gaps[0]], nodes[gaps[-1] + 1 :]
        words = [[node.text for node in side if isinstance(node, Word)] for side in sides]
        run = nodes[gaps[0]] is Wildcard.RUN
        one = len(gaps) == 1 if run else set(nodes[gaps[0] : gaps[-1] + 1]) == {Wildcard.ONE}
        if not one or [*map(len, words)] != [*map(len, sides)]:
            return {**data, "text": text}
        left, right = map(" ".join, words)
        sized = {"words": None if run else len(gaps)}
        return {**data, "text": "", "left": left, "right": right, **sized}

    @field_validator("left", "right")
    @classmethod
    def _tidy(cls, text: str) -> str:
        return " ".join(text.split())

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not (self.left.split() or self.right.split() or any(words_of(self.nodes))):
            raise SpecValueError("both sides are empty", "give left=, right= or both")
        return self

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The text with several gaps, parsed; a `...` is a word at least."""
        parsed = parse(self.text) if self.text else ()
        return tuple(
            node
            for found in parsed
            for node in ([Wildcard.ONE, found] if found is Wildcard.RUN else [found])
        )

    def body(self) -> str:
        """The text with gaps; else named fields in quotes, or JSON where a text has its own."""
        if self.text:
            return f'"{self.text}"'
        if '"' in self.left + self.right:
            return super().body()
        parts = [f'{n}="{getattr(self, n)}"' for n in ("left", "right")]
        if self.words is not None:
            parts.append(f"words={self.words}")
        return ",".join(parts)

    @classmethod
    def draw_target(cls, example: Example, draws: Random, name: str) -> Infill | None:
        """What is left when a third of its words, in one place, are taken out."""
        words = example.text.split()
        gap = max(1, len(words) // 3)
        if len(words) < 3:
            return None
        start = draws.randint(1, len(words) - gap - 1)
        return cls(left=" ".join(words[:start]), right=" ".join(words[start + gap :]), words=gap)

    def typed(self) -> Iterable[tuple[str, str, int]]:
        """The words of the text, or of both sides."""
        for word in words_of(self.nodes):
            yield word.text, self.text, word.span[0]
        for side in (self.left, self.right):
            for match in re.finditer(r"\S+", side):
                yield match[0], side, match.start()

    def field_of(self, source: str) -> str:
        """Which side it is; the text is no field that one names."""
        return "" if self.text else "left" if source == self.left else "right"

    def bind(self, info: ModelInfo) -> Self:
        """The same with both sides in the model's tokens."""
        return self._in_words(ranks(info.vocab.plain_words))

    def _in_words(self, known: Mapping[str, int]) -> Self:
        sides = {side: split_text(getattr(self, side), known) for side in ("left", "right")}
        return self.model_copy(update=sides)

    def check(self, info: ModelInfo) -> None:
        """Words that the model lacks stand as they are typed beside one gap; they are told.

        Raises:
            SpecError: there are several gaps, and the model lacks a word of the text.
        """
        if self.text:
            return super().check(info)
        for word, source, _ in self.unknown_words(info):
            warn(
                f"control 'infill', field '{self.field_of(source)}': {word.message}; it stands "
                f"there as you typed it ({word.hint})"
            )
        _ = self.automaton

    def compile(self) -> Automaton:
        """Everything that may stand in the gaps; of one gap for infills that meet a pattern."""
        if self.text:
            return Automaton.compile(self.nodes)
        gap = [Wildcard.ONE] * (self.words or 1) + [Wildcard.RUN] * (self.words is None)
        left, right = (map(self._node, side.split()) for side in (self.left, self.right))
        return Automaton.compile((*left, *gap, *right))

    def _node(self, word: str) -> Node:
        return Word(word)

    def lengths(self, info: ModelInfo) -> Lengths:
        """Both sides and at least one word, or exactly `words`; of a text what its gaps allow."""
        if self.text:
            return super().lengths(info)
        sides = self.bind(info)
        context = len(sides.left.split()) + len(sides.right.split())
        if self.words is None:
            return Lengths(context + 1, None)
        return Lengths(context + self.words, context + self.words)

    def in_pieces(self, info: ModelInfo) -> ControlSpec:
        """The sides in the model's tokens, no others, and what may stand between."""
        if self.text:
            return self
        sides = self.bind(info)
        lacking = (w for w in f"{sides.left} {sides.right}".split() if not info.vocab.writes(w))
        return Spelled(
            left=sides.left, right=sides.right, words=self.words, lacking=frozenset(lacking)
        )

    def build(self, context: BuildContext) -> Control:
        """Hold the known words at every step, or steer by the automaton of the text."""
        return super().build(context) if self.text else self._held(context)

    def _held(self, context: BuildContext) -> _InfillControl:
        vocab, sides = context.vocab, self.bind(context.info)
        texts = tuple(sides.left.split()), tuple(sides.right.split())
        left, right = (tuple(id_ for word in text for id_ in vocab.spell(word)) for text in texts)
        sentence = sentence_lengths(context.info)
        sizes: tuple[float, ...] = ()
        if self.words is None and sentence:
            behind, ahead = _begun(*texts)
            spelled = texts[0][len(texts[0]) - behind :], texts[1][:ahead]
            begun = (sum(len(vocab.spell(word)) for word in words) for words in spelled)
            sizes = _sizes_of_gap(sentence, *begun)
        return _InfillControl(left, right, texts, sizes, context.info.max_words)

    def verify(self, text: str) -> Verdict:
        """The known words word for word, with something in each gap."""
        if self.text:
            return self.fits(text)
        words = normal(text).split()
        sides = self._in_words(ranks(words))
        left, right = sides.left.split(), sides.right.split()
        gap = len(words) - len(left) - len(right)
        kept = words[: len(left)] == left and words[len(words) - len(right) :] == right
        satisfied = kept and (gap == self.words if self.words is not None else gap >= 1)
        sided = (Place(0, len(left), "left"), Place(len(words) - len(right), len(words), "right"))
        places = [place for place in sided if kept and place.start < place.end]
        detail = f"{gap} words between" if kept else "the context has changed"
        return Verdict(satisfied, detail, places=places)


class Spelled(Infill):
    """An infill in a model with pieces: an automaton, too, that knows where a word ends."""

    lacking: frozenset[str] = frozenset()
    """Words that the model cannot even spell: it sees UNK."""

    def build(self, context: BuildContext) -> Control:
        """Hold the sides, in entries, and count the words between."""
        from dlm_controls.pattern.control import EntryControl, HeldControl

        with self.bounded():
            control = EntryControl.of(self.automaton, context)
        return HeldControl(**vars(control), held=self._held(context))

    def _node(self, word: str) -> Node:
        token = min(self.lacking) if word in self.lacking else word
        return Spelling(((0, token, 1),), 1)


def _begun(left: Sequence[str], right: Sequence[str]) -> tuple[int, int]:
    """Words of the sentence that the left text leaves open, and of the one that the right ends."""
    *_, last = split_sentences([*left, "I"])  # which begins one wherever it can
    behind = len(last) - 1
    before = list(left) or ["."]
    whole = len(before) in accumulate(map(len, split_sentences([*before, *right])))
    return behind, 0 if whole and not behind else len(next(split_sentences(right), ()))


def _sizes_of_gap(one: Sequence[float], behind: int, ahead: int) -> tuple[float, ...]:
    """How likely a gap of n positions is, n = 0 .., by the lengths of sentences.

    What is missing between the halves of a sentence is of this sentence, p(behind + n + ahead).
    Elsewhere it is whole sentences, and the rest of one that is open at either side: with p* the
    distributions that go on an open sentence, (p_behind * (1 + p + p*p + ...) * p_ahead)(n).

    Args:
        one: p(n) of a sentence.
        behind, ahead: positions of an open sentence on the left and on the right, 0 if none is.
    """
    import numpy as np

    p, nothing = np.array(one), np.eye(1, len(one))[0]

    def rest(begun: int) -> Any:
        return np.append(p[begun:], np.zeros(begun))[: len(p)] if begun else nothing

    if behind and ahead:
        return tuple(rest(behind + ahead))
    whole = nothing.copy()
    for n in range(1, len(p)):
        whole[n] = p[n:0:-1] @ whole[:n]
    return tuple(np.convolve(np.convolve(rest(behind), whole)[: len(p)], rest(ahead))[: len(p)])


@dataclass(frozen=True)
class _InfillControl:
    """Known words at both ends, as a hard constraint (`SupportsFixed`, `SupportsLengths`)."""

    left: tuple[int, ...]
    right: tuple[int, ...]
    """Ids; UNK where the model lacks a word."""
    words: tuple[tuple[str, ...], tuple[str, ...]]
    """Both sides as they are typed."""
    sizes: tuple[float, ...]
    """How likely so many positions between are; empty where nothing is known of them."""
    most: int
    """Positions of a text."""
    scope: ClassVar[str] = "position"

    def length_log_ratios(self) -> Tensor:
        """How likely the size of the gap is by the lengths of sentences: (most + 1,).

        By those of whole texts alone a gap between two sentences would often get one word.
        """
        import torch

        ratios = torch.zeros(self.most + 1, dtype=torch.double)
        start = len(self.left) + len(self.right)
        if self.sizes and start <= self.most:
            sizes = torch.tensor(self.sizes[: self.most + 1 - start], dtype=torch.double)
            ratios[:start] = ratios[start:] = math.log(RARE)
            ratios[start : start + len(sizes)] = sizes.clamp(min=RARE).log()
        return ratios

    def fixed(self, lengths: Tensor, width: int) -> Tensor:
        """Ids (B, width), -1 between the sides."""
        import torch

        ids = torch.full((len(lengths), width), -1, device=lengths.device)
        ids[:, : len(self.left)] = torch.tensor(self.left, device=lengths.device)
        for row, n in enumerate(lengths.tolist()):
            ids[row, n - len(self.right) : n] = torch.tensor(self.right, device=lengths.device)
        return ids

    def respell(self, words: Sequence[str]) -> list[str]:
        """The text with both sides as they are typed."""
        left, right = self.words
        return [*left, *words[len(left) : len(words) - len(right)], *right]

    def log_prob(self, state: State) -> Tensor:
        """Sum of log q_i of the known words, (B,)."""
        ids = self.fixed(state.lengths, state.x_t.shape[1])
        log_q = state.token_log_probs.gather(-1, ids.clamp(min=0)[..., None]).squeeze(-1)
        return (log_q * (ids >= 0)).sum(-1)

    def tilt(self, state: Any) -> Any:
        """Nothing: the walk holds the words already."""
        return state.token_log_probs
