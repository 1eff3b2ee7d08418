"""The labels a bundle's `tree` head knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlm_core.errors import SpecError, did_you_mean
from dlm_core.heads import read_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlm_core.bundle import ModelInfo

HEAD = "tree"
"""The head that `tree` and `span` share."""


def single_labels(info: ModelInfo) -> list[str]:
    """Labels of single constituents; none without a head."""
    return _singles(_chains(info) or ())


def _chains(info: ModelInfo) -> Sequence[str] | None:
    """Labels of the head, chains among them; None without one."""
    folder = info.head_path(HEAD)
    return read_labels(folder) if (folder / "config.json").is_file() else None


def _singles(chains: Sequence[str]) -> list[str]:
    return sorted({part for chain in chains if chain for part in chain.split("::")})


def check_label(info: ModelInfo, kind: str, label: str, source: str) -> None:
    """Raise SpecError for a label (chain) the bundle's `tree` head has never seen."""
    chains = _chains(info)
    if chains is None:  # `build` says so
        return
    singles = _singles(chains)
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
