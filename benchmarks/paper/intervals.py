"""Figures as the tables' JSON holds them; their 95% intervals are those of `dlm evaluate`."""

from __future__ import annotations

from collections.abc import Sequence

from dlm_core.evaluation.figures import Figure, Units


def told(figure: Figure) -> dict[str, float]:
    """Value and interval; where nothing varies, the interval is the value."""
    low, high = figure.value, figure.value
    if figure.bounds is not None:
        low, high = figure.bounds.low, figure.bounds.high
    return {"value": figure.value, "low": low, "high": high, "targets": figure.texts}


def mean(values: Sequence[float], share: bool = True) -> dict[str, float]:
    """Mean of one number a target."""
    return told(separate(len(values)).figure("mean", "%" if share else "", values))


def difference(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Mean of ours - theirs, whose entries belong to the same targets."""
    return mean([a - b for a, b in zip(ours, theirs, strict=True)], share=False)


def separate(count: int) -> Units:
    """As many units, of one number each."""
    return Units.of([str(k) for k in range(count)])
