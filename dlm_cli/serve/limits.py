"""How much a client may ask for, and how long anything waits. Light."""

from __future__ import annotations

from pydantic import Field

from dlm_core.config import Settings


class Limits(Settings):
    """Each is an option of `dlm serve`; times are in seconds."""

    max_wait: float = Field(default=0.05, ge=0)
    """How long the worker waits for a batch to fill; only while requests come side by side."""
    max_queue: int = Field(default=512, ge=1)
    """Texts that wait; a request beyond it is refused with 429."""
    max_n: int = Field(default=64, ge=1)
    """Texts of a request."""
    max_controls: int = Field(default=32, ge=0)
    """Controls of a request."""
    max_words: int | None = Field(default=None, ge=1)
    """Words of a text; what the model can write if omitted."""
    max_body: int = Field(default=1_000_000, ge=1)
    """Bytes of a request's body."""
    max_connections: int = Field(default=1000, ge=1)
    """Connections open at once."""
    patience: float = Field(default=30.0, gt=0)
    """How long a client may take to send its body, or to take what is sent to it."""
    grace: float = Field(default=60.0, ge=0)
    """How long what was accepted may take to finish after SIGTERM."""
