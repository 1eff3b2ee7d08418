"""What the C library does with freed memory while a model is trained."""

from __future__ import annotations

_TRIM, _TOP_PAD, _MMAP = -1, -2, -3
"""Options of glibc's `mallopt`."""
_GIB = 1 << 30


def keep_freed_memory() -> None:
    """Keep large blocks for the next step, instead of giving them back to the system.

    A step over a vocabulary of thousands makes and frees the same tensors of tens of MiB; fetched
    anew they are cleared page by page, which took a third of the time of a step. Other C libraries
    are left as they are.
    """
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_MMAP, _GIB)
    mallopt(_TRIM, 2 * _GIB - 1)
    mallopt(_TOP_PAD, _GIB // 4)
