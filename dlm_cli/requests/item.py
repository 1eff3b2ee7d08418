"""A checked request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlm_core.errors import UsageError

if TYPE_CHECKING:
    from dlm_core.control.compose import Controls
    from dlm_core.generation.prepare import Request
    from dlm_core.plugins.registry import Plugins
    from dlm_core.results import Result
    from dlm_core.selection import SelectorSpec

Id = int | str


@dataclass(frozen=True)
class Item:
    """A checked request, and which of its candidates are kept."""

    controls: Controls
    n: int
    seed: int
    selector: SelectorSpec | None
    keep: int
    id: Id | None = None
    meta: dict[str, Any] | None = None
    line: int = 0
    """Where it stands in its file, from 1."""
    there: bool = False
    """Its texts are written already."""

    @property
    def request(self) -> Request:
        """For `generate_batches`."""
        from dlm_core.generation.prepare import Request

        return Request(self.controls, self.n, self.seed)

    @property
    def digest(self) -> str:
        """Of all that was asked: two requests with the same differ in nothing but their id."""
        select = None if self.selector is None else str(self.selector)
        specs = [str(term) for term in self.controls.terms]
        return digest([specs, self.n, self.seed, select, self.keep, self.meta])

    def choose(self, candidates: Sequence[Result], plugins: Plugins) -> list[Result]:
        """What is written of the candidates."""
        from dlm_core.selection import select

        if self.selector is None:
            return list(candidates)
        owner = plugins.origin("selector", self.selector.kind)
        return select(self.selector, candidates, self.keep, owner=owner)


def digest(value: Any) -> str:
    """Sixteen hexadecimal digits of what JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def own_seed(run: int, id: Id) -> int:
    """The seed of a request that names none: a function of the run's seed and its id alone.

    Below 2^48, so that any program reads it as it is, and wide enough that the seeds of two
    requests do not meet.
    """
    return int(hashlib.sha256(f"{run}:{json.dumps(id)}".encode()).hexdigest()[:12], 16)


def make_item(
    controls: Sequence[str],
    n: int,
    seed: int,
    selector: str | None,
    keep: int | None,
    plugins: Plugins,
    id: Id | None = None,
    meta: dict[str, Any] | None = None,
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
        return Item(Controls(terms), n, seed, None, n, id, meta)
    check_selector(chosen, plugins.origin("selector", chosen.kind))
    keep = keep or (n if chosen.kind == "none" else 1)
    if keep > n:
        raise UsageError(f"cannot keep {keep} of {n} candidates", f"keep at most {n}")
    return Item(Controls(terms), n, seed, chosen, keep, id, meta)
