"""The labels a bundle's `tree` head knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlm_core.errors import SpecError, did_you_mean
from dlm_core.heads import read_labels

if TYPE_CHECKING:
    from dlm_core.bundle import ModelInfo

HEAD = "tree"
"""The head that `tree` and `span` share."""


def single_labels(info: ModelInfo) -> list[str]:
    """Labels of single constituents; none without a head."""
    path = info.head_path(HEAD) / "config.json"
    chains = read_labels(path.parent) if path.is_file() else ()
    return sorted({part for chain in chains if chain for part in chain.split("::")})


def check_label(info: ModelInfo, kind: str, label: str, source: str) -> None:
    """Raise SpecError for a label (chain) the bundle's `tree` head has never seen."""
    path = info.head_path(HEAD) / "config.json"
    if not path.is_file():  # `build` says so
        return
    chains, singles = read_labels(path.parent), single_labels(info)
    for part in label.split("::"):
        if part not in singles:
            at = max(0, source.find(part))
            raise SpecError(
                f"control '{kind}': the parser knows no label '{part}'",
                source=source,
                span=(at, at + len(part)),
                hint=did_you_mean(part, singles, limit=40),
            )
    if "::" in label and not any(f"::{label}::" in f"::{chain}::" for chain in chains):
        raise SpecError(
            f"control '{kind}': the model has never seen the chain '{label}'",
            source=source,
            hint=did_you_mean(label, [c for c in chains if "::" in c], limit=40),
        )
