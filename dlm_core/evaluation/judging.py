"""Texts with what was asked of them, and what their controls' own verdicts say. Light."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dlm_core.calling import expect, owner_of, plugin_errors
from dlm_core.control.verdict import Verdict
from dlm_core.control.weight import control_name
from dlm_core.errors import MissingError

if TYPE_CHECKING:
    from dlm_core.bundle import ModelInfo
    from dlm_core.control.compose import Controls, ControlSpec, Term


@dataclass(frozen=True)
class Text:
    """A text that is to be judged.

    Attributes:
        text: as one writes it.
        tokens: with blanks between them.
        controls: what was asked of it.
        id, seed, signature, satisfied: as its row has them.
    """

    text: str
    tokens: str
    controls: Controls
    id: int | str | None = None
    seed: int | None = None
    signature: str = ""
    satisfied: tuple[bool | None, ...] | None = None

    @property
    def target(self) -> str:
        """What was asked, whatever the weights and the order: two systems are compared by it."""
        return " + ".join(sorted(map(asked, self.controls)))


@dataclass(frozen=True)
class Judged:
    """The verdicts on a text, one a control, and what is wrong with it whatever was asked."""

    text: Text
    verdicts: tuple[Verdict, ...]
    faults: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def satisfied(self) -> bool | None:
        """All conditions together; None without controls, or where none fails and one is unjudged.

        As `Result.satisfied`, but of a text that nothing was asked of.
        """
        held = [verdict.satisfied for verdict in self.verdicts]
        return None if not held or (None in held and False not in held) else all(held)


def asked(term: Term) -> str:
    """A control without its weight."""
    return f"not {term.spec}" if term.negated else str(term.spec)


def judge(
    texts: Iterable[Text], info: ModelInfo, domains: Iterable[type[ControlSpec]] = ()
) -> Iterator[Judged]:
    """Judge each text by its controls.

    Args:
        texts: what to judge.
        info: the model, for what a verdict needs of its folder and vocabulary.
        domains: controls whose `text_faults` every text is read for, asked or not.

    Raises:
        PluginError: a control's own code failed.
    """
    for text in texts:
        verdicts = tuple(verdict_on(term, text.tokens, info) for term in text.controls)
        kinds = dict.fromkeys([*domains, *(type(term.spec) for term in text.controls)])
        faults: dict[str, Sequence[str]] = {}
        for kind in kinds:
            with plugin_errors(control_name(kind.kind, owner_of(kind)), "text_faults"):
                found = expect(kind.text_faults(text.tokens.split()), dict, "a dict of lists")
                faults |= found
        yield Judged(text, verdicts, faults)


def verdict_on(term: Term, tokens: str, info: ModelInfo) -> Verdict:
    """The verdict of one control; one of None that says why, where a package is missing."""
    try:
        return term.verify(tokens, info)
    except MissingError as error:  # the other controls are judged
        return Verdict.unjudged(error)
