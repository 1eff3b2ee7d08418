"""The facts that a model knows: E2E's by rules, any other's learned from data.

A bundle whose head has an inventory.json has the domain learned with it, any other bundle E2E's.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from dlm_controls.semantic.inventory import INVENTORY

if TYPE_CHECKING:
    from dlm_controls.semantic.domain import Domain
    from dlm_core.bundle import ModelInfo


def domain_of(info: ModelInfo) -> Domain:
    """The facts that a model knows.

    Raises:
        MissingError: its inventory is broken.
    """
    path = info.head_path("semantic") / INVENTORY
    try:
        stat = path.stat()
    except OSError:
        return e2e()
    return _learned(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=1)
def e2e() -> Domain:
    """E2E's."""
    from dlm_controls.semantic.e2e.domain import E2E

    return E2E()


@lru_cache(maxsize=4)
def _learned(path: Path, changed: int, size: int) -> Domain:
    from dlm_controls.semantic.learned import Learned

    return Learned.load(path.parent)
