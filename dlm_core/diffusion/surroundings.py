"""Torch as it is by default, whatever the caller has set around a call of dlm.

A caller may have another default dtype or device, `inference_mode`, `no_grad` or autocast on: the
same seeds give the same texts all the same, and the caller's settings are as before afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock, RLock

import torch

_AUTOCAST = ("cpu", "cuda", "mps")
_loading = RLock()


class _Float32:
    """The default dtype belongs to the process: the first of many threads sets it, the last resets.

    Where the caller's is float32 already, nothing is touched.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._callers = torch.float32

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._callers = torch.get_default_dtype()
                if self._callers != torch.float32:
                    torch.set_default_dtype(torch.float32)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._callers != torch.float32:
                torch.set_default_dtype(self._callers)


_float32 = _Float32()


@contextmanager
def usual_torch() -> Iterator[None]:
    """Default dtype and device, gradients allowed, neither inference mode nor autocast.

    Also a decorator. Never held open across a `yield` to the caller, who would be inside it, too.
    """
    with ExitStack() as stack:
        stack.enter_context(_float32)
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in _AUTOCAST:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":  # a device context costs time at every call
            stack.enter_context(torch.device("cpu"))
        yield


@contextmanager
def loading() -> Iterator[None]:
    """Around whatever is read into memory once: one thread at a time, and nothing drawn.

    The first weights of a module are drawn at random before a file's take their place; the caller's
    random numbers stay as if they were not. (A module on `meta` draws none, but brings 800 imports
    and 120 MB with it.) Packages that are imported on first use are imported by one thread.
    """
    with _loading, usual_torch(), torch.random.fork_rng(devices=[]):
        yield
