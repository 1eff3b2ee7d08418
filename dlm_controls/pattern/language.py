"""Base of the controls that are automata over words: they intersect and have contraries."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from dlm_controls.pattern.automaton import Automaton, TooManyStatesError
from dlm_controls.spelling import UnknownWord, ranks, unknown
from dlm_core.control.compose import ControlSpec
from dlm_core.control.lengths import Lengths
from dlm_core.control.verdict import Verdict
from dlm_core.errors import SpecError, UnsatisfiableError, UsageError, shorten
from dlm_core.text import normal

if TYPE_CHECKING:
    from dlm_core.bundle import ModelInfo
    from dlm_core.control.protocol import BuildContext, Control
    from dlm_core.vocab import Vocab


class _Writable(dict[str, int]):
    """`ranks` of the whole words; the words that are spelled are among its keys, too."""

    def __init__(self, vocab: Vocab) -> None:
        super().__init__(ranks(vocab.plain_words))
        self.vocab = vocab

    def __contains__(self, word: object) -> bool:
        return super().__contains__(word) or (isinstance(word, str) and self.vocab.writes(word))


def writable(vocab: Vocab) -> dict[str, int]:
    """The words that a model writes, whole or in pieces."""
    return _Writable(vocab) if vocab.pieces else ranks(vocab.plain_words)


class WordAutomaton(ControlSpec):
    """Base of the controls that are automata over words."""

    normalised: ClassVar[bool] = True
    whole_words: ClassVar[bool] = False

    def needs_pieces(self, info: ModelInfo) -> str | None:
        """The first typed word that the vocabulary spells."""
        spelled = (found.text for found, _, _ in self.unknown_words(info.of_whole_words))
        return next((word for word in spelled if info.vocab.writes(word)), None)

    def compile(self) -> Automaton:
        """The automaton; TooManyStatesError if it is too large."""
        raise NotImplementedError

    @cached_property
    def automaton(self) -> Automaton:
        """The automaton.

        Raises:
            UsageError: it has too many states.
        """
        with self.bounded():
            return _compiled(self)

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Names the control where an automaton has too many states."""
        try:
            yield
        except TooManyStatesError as error:
            raise UsageError(
                f"control '{shorten(str(self))}' {error}",
                "ask for fewer or shorter phrases, or fewer gaps",
            ) from error

    @classmethod
    def known_values(cls, field: str, given: Mapping[str, Any], info: ModelInfo) -> Iterable[str]:
        """The model's words."""
        return info.vocab.plain_words

    def typed(self) -> Iterable[tuple[str, str, int]]:
        """Each word that the user typed, what it stands in, and at which character of that."""
        return ()

    def unknown_words(self, info: ModelInfo) -> Iterable[tuple[UnknownWord, str, int]]:
        """What of the typed words the model does not know, as `typed` gives it."""
        known = writable(info.vocab)
        for word, source, start in self.typed():
            if (found := unknown(word, known)) is not None:
                yield found, source, start + found.at

    def field_of(self, source: str) -> str:
        """The field that a text of `typed` is in, where there are several."""
        return ""

    def check(self, info: ModelInfo) -> None:
        """Refuse a word the vocabulary lacks, in one piece or cut at signs."""
        for word, source, start in self.unknown_words(info):
            field = self.field_of(source)
            where = f", field '{field}'" if field else ""
            raise SpecError(
                f"control '{self.kind}'{where}: {word.message}",
                source=source,
                span=(start, start + len(word.text)),
                hint=word.hint,
                field=field or None,
            )
        _ = self.automaton

    def lengths(self, info: ModelInfo) -> Lengths:
        """Exactly the numbers of words its texts have."""
        automaton = _written(self.automaton, info.vocab)
        limit = max(info.max_words, len(automaton.table))  # past the shortest text of all
        found = automaton.lengths(limit)
        endless = found and found == set(range(min(found), limit + 1))
        return Lengths(min(found)) if endless else Lengths.of(found)

    def fits(self, text: str) -> Verdict:
        """Is the whole text accepted? If not, which word is the first that cannot be?"""
        words = normal(text).split()
        if self.automaton.accepts(words):
            return Verdict(True, "fits")
        at = self.automaton.stuck_at(words)
        if at is None:
            return Verdict(False, "ends too early")
        return Verdict(False, f"word {at + 1}, '{words[at]}', does not fit")

    def merge(self, other: ControlSpec) -> ControlSpec | None:
        """Both at once, if the other is an automaton, too."""
        return Both(left=self, right=other) if isinstance(other, WordAutomaton) else None

    def contrary(self) -> ControlSpec:
        """Every other text."""
        return Other(spec=self)

    def build(self, context: BuildContext) -> Control:
        """Steer with the automaton's exact probability."""
        from dlm_controls.pattern.control import EntryControl, PatternControl

        if not context.vocab.pieces:
            return PatternControl.of(self.automaton, context)
        with self.bounded():
            return EntryControl.of(_written(self.automaton, context.vocab), context)


@lru_cache(maxsize=128)
def _compiled(spec: WordAutomaton) -> Automaton:
    """Once for the many requests that ask the same."""
    return spec.compile()


@lru_cache(maxsize=128)
def _written(automaton: Automaton, vocab: Vocab) -> Automaton:
    """Of the texts that a model writes: the same one each time, as `over_entries` wants it."""
    return automaton.within(writable(vocab))


class Both(WordAutomaton):
    """Two automata at once."""

    kind: ClassVar[str] = "pattern"

    left: WordAutomaton
    right: WordAutomaton

    def check(self, info: ModelInfo) -> None:
        """Refuse what no text can be."""
        left, right = shorten(str(self.left)), shorten(str(self.right))
        for side in (self.left, self.right):
            for word, _, _ in side.unknown_words(info):
                raise UnsatisfiableError(
                    f"controls '{left}' and '{right}': {word.message}",
                    "such a word can stand in an infill without a pattern beside it",
                )
        if _written(self.automaton, info.vocab).empty:
            raise UnsatisfiableError(
                f"controls '{left}' and '{right}' contradict: no text meets both",
                "drop one of them",
            )

    def compile(self) -> Automaton:
        """The intersection."""
        return self.left.automaton & self.right.automaton

    def __str__(self) -> str:
        return f"{self.left} + {self.right}"


class Other(WordAutomaton):
    """Every text that an automaton does not accept."""

    kind: ClassVar[str] = "pattern"

    spec: WordAutomaton

    def check(self, info: ModelInfo) -> None:
        """Refuse what no text can be; words that no text has are no fault here."""
        if _written(self.automaton, info.vocab).empty:
            raise UnsatisfiableError(f"every text is {self.spec}", "drop the control")
        for word, _, _ in self.spec.unknown_words(info):
            warn(f"control '{shorten(str(self))}' holds anyway: {word.message} ({word.hint})")

    def compile(self) -> Automaton:
        """The complement."""
        return ~self.spec.automaton

    def __str__(self) -> str:
        return f"not {self.spec}"


@lru_cache(maxsize=1024)
def warn(message: str) -> None:
    """Say something once, however often a request is made."""
    logging.getLogger("dlm").warning(message)
