"""Whether a run in a folder goes on or starts anew, as `--resume` and `--force` say."""

from __future__ import annotations

from pathlib import Path

from dlm_core.errors import UsageError


def check_beginning(
    out: Path, there: str | None, resume: bool, force: bool, init: bool = False
) -> None:
    """Refuse options that contradict each other, and a folder whose run nothing is said of.

    Args:
        out: the run's folder.
        there: what it holds of another run; None for nothing.
        resume: that run goes on.
        force: it is replaced.
        init: this run starts from another model.

    Raises:
        UsageError: says what to add or leave out.
    """
    for other, given in (("--init", init), ("--force", force)):
        if resume and given:
            raise UsageError(
                f"option '--resume' and option '{other}': one goes on, the other starts anew",
                f"leave one of them out; {other} with another --out",
            )
    if there and not resume and not force:
        raise UsageError(
            f"option '--out': {out} holds {there}",
            "add --resume to continue it or --force to start anew, or choose another --out",
        )
