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
        self.registry = CollectorRegistry()
        own = {"registry": self.registry}
        self._answers = Counter(
            "dlm_answers",
            "Completions answered, by status (499: the client left).",
            ["status"],
            **own,
        )
        self._seconds = Histogram(
            "dlm_answer_seconds", "From the request to its whole answer.", **own
        )
        self._texts = Counter("dlm_texts", "Texts sent.", **own)
        self._words = Counter("dlm_words", "Words of texts sent.", **own)
        self._verdicts = Counter(
            "dlm_verdicts", "Verdicts of controls.", ["control", "verdict"], **own
        )
        self._batches = Histogram(
            "dlm_batch_texts", "Texts walked together.", buckets=_SIZES, **own
        )
        self._batch_seconds = Histogram("dlm_batch_seconds", "Time of a batch.", **own)
        self._waiting = Gauge("dlm_texts_waiting", "Texts that no batch has yet.", **own)
        ProcessCollector(registry=self.registry)

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
