"""What a client gets: OpenAI's form, with a `dlm` object in each choice."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlm_cli.serve.asked import Asked
    from dlm_core.results import Result


@dataclass(frozen=True)
class Answer:
    """The answers to one request."""

    asked: Asked
    model: str
    fingerprint: str
    id: str = field(default_factory=lambda: f"cmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, results: Sequence[Result]) -> dict[str, Any]:
        """All that is kept of a request."""
        choices = [self._choice(index, result) for index, result in enumerate(results)]
        return self._frame(choices) | {"usage": self._usage(results)}

    def usage(self, results: Sequence[Result]) -> dict[str, Any]:
        """What ends a stream that asked for it."""
        return self._frame([]) | {"usage": self._usage(results)}

    def last(self, results: Sequence[Result]) -> dict[str, Any]:
        """A stream's event of the finished texts."""
        return self._frame([self._choice(index, result) for index, result in enumerate(results)])

    def drafts(self, step: int, steps: int, t: float, texts: dict[int, str]) -> dict[str, Any]:
        """A stream's event of a step; `text` is empty, so that a client may join what it gets."""
        return self._frame(
            [
                _choice(index, "", None, {"draft": text, "step": step, "steps": steps, "t": t})
                for index, text in texts.items()
            ]
        )

    def _choice(self, index: int, result: Result) -> dict[str, Any]:
        return _choice(index, self.asked.written(result), "stop", result.model_dump(mode="json"))

    def _usage(self, results: Sequence[Result]) -> dict[str, int]:
        prompt = self.asked.context
        written = sum(len(result.tokens) - prompt for result in results)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": written,
            "total_tokens": prompt + written,
        }

    def _frame(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            "choices": choices,
        }


def _choice(index: int, text: str, reason: str | None, more: dict[str, Any]) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": reason, "dlm": more}
