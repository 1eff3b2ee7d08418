"""What the C library does with freed memory, in training and in work without an end.

Other C libraries than glibc are left as they are.
"""

from __future__ import annotations

import os

_TRIM, _TOP_PAD, _MMAP = -1, -2, -3
"""Options of glibc's `mallopt`."""
_MIB, _GIB = 1 << 20, 1 << 30
_SHAPES = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"


def keep_freed_memory() -> None:
    """Keep large blocks for the next step of a training, instead of giving them back.

    A step over a vocabulary of thousands makes and frees the same tensors of tens of MiB; fetched
    anew they are cleared page by page, which took a third of the time of a step.
    """
    _set((_MMAP, _GIB), (_TRIM, 2 * _GIB - 1), (_TOP_PAD, _GIB // 4))


def return_freed_memory() -> None:
    """Give large blocks back as soon as they are free, and keep fewer compiled shapes.

    Batches of a stream have tensors of ever other sizes. Kept, they leave holes that no later one
    fits, and each new shape a kernel that oneDNN keeps (1,024 of them by default): memory would
    grow with the number of requests.
    """
    os.environ.setdefault(_SHAPES, "64")  # read when the first kernel is compiled
    _set((_MMAP, _MIB), (_TRIM, 4 * _MIB))


def _set(*options: tuple[int, int]) -> None:
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    for option, value in options:
        mallopt(option, value)
