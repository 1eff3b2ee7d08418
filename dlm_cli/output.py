"""What goes to the user: results on stdout, everything else on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm


def stderr(message: str) -> None:
    """One line for the person; never part of the results."""
    print(message, file=sys.stderr, flush=True)


def progress_bar(name: str, total: int) -> tqdm[None]:
    """A bar with ETA on stderr, drawn only on a terminal."""
    from tqdm import tqdm

    return tqdm(total=total, desc=name, dynamic_ncols=True, leave=False, disable=None)


def pick_device(name: str) -> str:
    """`auto` is cuda, then mps, then cpu; anything else must be usable.

    Raises:
        UsageError: no such device here.
    """
    import torch

    from dlm_core.errors import UsageError

    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"option '--device': '{name}' cannot be used here ({str(error).splitlines()[0]})",
            "auto, cpu, cuda, cuda:1 or mps",
        ) from error
    return name
