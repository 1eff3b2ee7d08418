"""A checked request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import StrictInt, StrictStr

from dlm_core.errors import UsageError

if TYPE_CHECKING:
    from dlm_core.control.compose import Controls
    from dlm_core.generation.prepare import Request
    from dlm_core.plugins.registry import Plugins
    from dlm_core.results import Result
    from dlm_core.selection import SelectorSpec

Id = StrictInt | StrictStr


@dataclass(frozen=True)
class Item:
    """A checked request, and which of its candidates are kept."""

    controls: Controls
    n: int
    seed: int
    selector: SelectorSpec | None
    keep: int
    id: Id | None = None

    @property
    def request(self) -> Request:
        """For `generate_batches`."""
        from dlm_core.generation.prepare import Request

        return Request(self.controls, self.n, self.seed)

    def choose(self, candidates: Sequence[Result], plugins: Plugins) -> list[Result]:
        """What is written of the candidates."""
        from dlm_core.selection import select

        if self.selector is None:
            return list(candidates)
        owner = plugins.origin("selector", self.selector.kind)
        return select(self.selector, candidates, self.keep, owner=owner)


def make_item(
    controls: Sequence[str],
    n: int,
    seed: int,
    selector: str | None,
    keep: int | None,
    plugins: Plugins,
    id: Id | None = None,
) -> Item:
    """Parse the specs of a request.

    Raises:
        SpecError, UsageError: a spec or number that cannot be.
        MissingError: the selector lacks a package or a model.
    """
    from dlm_core.control.compose import Controls
    from dlm_core.control.parse import parse_spec
    from dlm_core.selection import check_selector, parse_selector

    terms = tuple(parse_spec(spec, plugins.controls) for spec in controls)
    chosen = None if selector is None else parse_selector(selector, plugins.selectors)
    if chosen is None:
        if keep is not None:
            raise UsageError("'keep' has no effect without 'select'", "select: control, mbr, ...")
        return Item(Controls(terms), n, seed, None, n, id)
    check_selector(chosen, plugins.origin("selector", chosen.kind))
    keep = keep or (n if chosen.kind == "none" else 1)
    if keep > n:
        raise UsageError(f"cannot keep {keep} of {n} candidates", f"keep at most {n}")
    return Item(Controls(terms), n, seed, chosen, keep, id)
