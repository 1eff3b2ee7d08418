"""What `/metrics` counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

if TYPE_CHECKING:
    from dlm_core.results import Result

_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_VERDICTS = {True: "holds", False: "fails", None: "unjudged"}


class Meters:
    """Counts of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        told = "Completions answered, by status (499: the client left)."
        self._answers = Counter("dlm_answers", told, ["status"], registry=own)
        told = "From a request to its whole answer."
        self._seconds = Histogram("dlm_answer_seconds", told, registry=own)
        self._texts = Counter("dlm_texts", "Texts sent.", registry=own)
        self._words = Counter("dlm_words", "Words of texts sent.", registry=own)
        told = "Verdicts of controls."
        self._verdicts = Counter("dlm_verdicts", told, ["control", "verdict"], registry=own)
        told = "Texts walked together."
        self._batches = Histogram("dlm_batch_texts", told, buckets=_SIZES, registry=own)
        self._batch_seconds = Histogram("dlm_batch_seconds", "Time of a batch.", registry=own)
        self._waiting = Gauge("dlm_texts_waiting", "Texts that no batch has yet.", registry=own)
        ProcessCollector(registry=own)

    def watch(self, waiting: Callable[[], int]) -> None:
        """Where the number of texts that wait is read."""
        self._waiting.set_function(waiting)

    def answer(self, status: int, seconds: float) -> None:
        """A completion is answered."""
        self._answers.labels(str(status)).inc()
        self._seconds.observe(seconds)

    def batch(self, texts: int, seconds: float) -> None:
        """A batch is made."""
        self._batches.observe(texts)
        self._batch_seconds.observe(seconds)

    def texts(self, results: Sequence[Result], kinds: Sequence[str]) -> None:
        """Texts are sent; `kinds` are those of their controls."""
        for result in results:
            self._texts.inc()
            self._words.inc(len(result.tokens))
            for kind, report in zip(kinds, result.controls, strict=True):
                self._verdicts.labels(kind, _VERDICTS[report.satisfied]).inc()

    def page(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)
