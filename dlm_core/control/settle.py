"""Whole words alone, or pieces? What the texts of a request are made of. Light: no torch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from dlm_core.calling import expect_or_none
from dlm_core.control.compose import Controls, ControlSpec, Term
from dlm_core.errors import UnsatisfiableError

if TYPE_CHECKING:
    from dlm_core.bundle import ModelInfo
    from dlm_core.control.lengths import Lengths


class Settled(NamedTuple):
    """What is asked of a model, checked.

    Attributes:
        controls: one for each that was asked, in the order.
        info: of the model, its vocabulary without pieces where texts have none.
        lengths: numbers of words that the controls admit.
    """

    controls: Controls
    info: ModelInfo
    lengths: Lengths


def settle(controls: Controls, info: ModelInfo) -> Settled:
    """Choose between whole words and pieces, and check the controls (`Controls.check`).

    Texts have whole words alone where a control takes positions for words
    (`ControlSpec.whole_words`), or the vocabulary does not spell freely, unless another one needs
    pieces; what the first can ask (`ControlSpec.in_pieces`) is asked then.

    Raises:
        SpecError: a value the model does not know.
        UnsatisfiableError: two controls contradict, or a text would be longer than the model's.
    """
    if info.vocab.pieces:
        whole = next((term for term in controls if term.spec.whole_words), None)
        spelled = next(((t, word) for t in controls if (word := _spelled(t, info))), None)
        if spelled is None and (whole is not None or not info.vocab.spells_freely):
            info = info.of_whole_words
        else:
            controls = Controls(tuple(_in_pieces(term, info, spelled) for term in controls))
    return Settled(controls, info, controls.check(info))


def _spelled(term: Term, info: ModelInfo) -> str | None:
    with term.named_errors("needs_pieces"):
        return None if term.negated else expect_or_none(term.spec.needs_pieces(info), str)


def _in_pieces(term: Term, info: ModelInfo, spelled: tuple[Term, str] | None) -> Term:
    with term.named_errors("in_pieces"):
        spec = expect_or_none(term.spec.in_pieces(info), ControlSpec)
    if spec is not None:
        return replace(term, spec=spec, source=term.label)
    other, word = spelled or (term, "a word")
    raise UnsatisfiableError(
        f"controls '{term.label}' and '{other.label}' do not go together: the first reads whole "
        f"words, and this model spells '{word}' in pieces",
        "drop one of them, or ask for another word",
    )
