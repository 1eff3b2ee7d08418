"""metrics.jsonl as a picture."""

from __future__ import annotations

from pathlib import Path

from dlm_core.files import writing
from dlm_core.training.metrics import read_rows

EVAL_TIMES = (0.05, 0.2, 0.4, 0.6, 0.8, 1.0)


def plot_curves(out: Path) -> str | None:
    """Draw metrics.jsonl as curves.png, if matplotlib is installed.

    A picture never stops a run: returns why there is none, or None.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    try:
        rows = read_rows(out / "metrics.jsonl")
        figure = Figure(figsize=(9, 4), layout="constrained")
        left, right = figure.subplots(1, 2)
        train = [r for r in rows if "loss" in r]
        for name in ("mse", "anchor", "rounding"):
            left.plot([r["step"] for r in train], [r[name] for r in train], label=name, lw=0.8)
        left.set(title="training loss terms", xlabel="step", yscale="log")
        valid = [r for r in rows if "valid_anchor" in r]
        for time_ in EVAL_TIMES:
            key = f"valid_anchor_t{time_:g}"
            right.plot(
                [r["step"] for r in valid],
                [r[key] for r in valid],
                "o-",
                ms=2,
                label=f"t={time_:g}",
            )
        right.set(
            title="validation cross-entropy of x_0_hat (EMA)", xlabel="step", ylabel="nats a word"
        )
        left.legend()
        right.legend()
        with writing(out / "curves.png") as new:
            figure.savefig(new, dpi=120, format="png")
    except Exception as error:
        return f"curves.png is not drawn: {type(error).__name__}: {error}"
    return None
