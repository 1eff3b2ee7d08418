"""The rows of `benchmarks/robust.py`, smaller, and forked: torch is loaded already."""

from __future__ import annotations

import os
from collections.abc import Iterator

import matplotlib.figure  # noqa: F401  (the forked runs of training find both loaded)
import pytest
import torch._dynamo  # noqa: F401

from benchmarks.attacks import common


@pytest.fixture(autouse=True)
def fork(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(common, "FORK", True)
    environment = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(environment)
