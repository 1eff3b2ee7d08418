"""The Selector protocol: pick among the candidates of one request. Light: imports no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from dlm_core.calling import WrongReturnError, number, owner_of, plugin_errors, plugin_name
from dlm_core.control.parse import parse_kind
from dlm_core.control.spec import Spec
from dlm_core.errors import UsageError

if TYPE_CHECKING:
    from dlm_core.results import Result


class SelectorSpec(Spec):
    """Base of all selectors; its fields are the selector's options.

    A selector scores the candidates of one request; the caller keeps the best. It never sees
    references. Subclasses set `kind` and write `scores`; `check` where it needs something.
    """

    _what: ClassVar[str] = "selector"

    def check(self) -> None:
        """Raise MissingError or UsageError for what `scores` would lack, before any sampling."""

    def scores(self, candidates: Sequence[Result]) -> list[float]:
        """One finite score a candidate, higher is better; ties go to the lower seed."""
        raise NotImplementedError


def parse_selector(source: str, kinds: Mapping[str, type[SelectorSpec]]) -> SelectorSpec:
    """Parse one selector: `mbr:utility=bleu`.

    Raises:
        SpecError: with the source, the place and the nearest valid value.
    """
    return parse_kind("selector", source, kinds)


def check_selector(selector: SelectorSpec, owner: str = "") -> None:
    """Ask a selector whether it has all it needs.

    Raises:
        MissingError, UsageError: as the selector says.
        PluginError: it raised something else.
    """
    with plugin_errors(_name(selector, owner), "check"):
        if (found := selector.check()) is not None:  # type: ignore[func-returns-value]
            raise WrongReturnError(
                type(found).__name__, "nothing: it raises MissingError or UsageError"
            )


def select(
    selector: SelectorSpec, candidates: Sequence[Result], keep: int = 1, *, owner: str = ""
) -> list[Result]:
    """The `keep` best candidates, best first, with `score` and `rank` (from 1) filled in.

    Args:
        selector: for example `MBR(utility="bleu")`.
        candidates: the texts of one request.
        keep: how many to keep; as many as there are candidates ranks them all.
        owner: distribution and version that provide the selector, for errors.

    Raises:
        UsageError: `keep` is not positive.
        PluginError: the selector raised, or gave something else than one finite score a candidate.
    """
    if keep < 1:
        raise UsageError(f"keep={keep}: at least 1")
    name = _name(selector, owner)
    with plugin_errors(name, "scores"):
        found = selector.scores(list(candidates))  # a copy: it may sort them
        if not isinstance(found, Iterable):
            raise WrongReturnError(type(found).__name__, "a list of numbers")
        scores = [number(score) for score in found]
        if len(scores) != len(candidates):
            raise WrongReturnError(
                f"{len(scores)} scores for {len(candidates)} candidates", "one each"
            )
        for score, candidate in zip(scores, candidates, strict=True):
            if not math.isfinite(score):
                raise WrongReturnError(
                    f"the score {score} for '{candidate.text}'", "a finite number"
                )
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], candidates[i].seed))
    return [
        candidates[i].model_copy(update={"score": scores[i], "rank": rank})
        for rank, i in enumerate(order[:keep], start=1)
    ]


def _name(selector: SelectorSpec, owner: str) -> str:
    return plugin_name("selector", selector.kind, owner or owner_of(type(selector)))
