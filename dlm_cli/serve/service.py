"""What a server has: its model, its limits, its worker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dlm_cli.serve.batching import Batcher
from dlm_cli.serve.metrics import Meters
from dlm_core.version import VERSION

if TYPE_CHECKING:
    from dlm_cli.generate.job import Job
    from dlm_cli.serve.limits import Limits
    from dlm_core.bundle import Model


class Service:
    """A model that is served.

    Args:
        job: how texts are made.
        model: loaded.
        limits: what a client may ask.
        key: what a client must know; nothing if empty.

    Attributes:
        name: what clients call the model.
        inside: requests being answered.
        stopping: no more are let in.
    """

    def __init__(self, job: Job, model: Model, limits: Limits, key: str = "") -> None:
        self.job, self.model, self.limits, self.key = job, model, limits, key
        self.meters = Meters()
        self.batcher = Batcher(job, model, limits, self.meters)
        self.meters.watch(lambda: self.batcher.texts_waiting)
        self.name = Path(job.model).name if Path(job.model).is_dir() else job.model
        self.fingerprint = f"dlm-{VERSION}-{job.info.sha256[:8]}"
        self.inside, self.stopping = 0, False
