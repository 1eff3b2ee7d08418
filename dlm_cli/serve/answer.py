"""What a client gets: OpenAI's form, with a `dlm` object in each choice."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dlm_cli.requests.recipes import Recipe
from dlm_cli.requests.typed import typed, typed_again
from dlm_core.natural import detokenise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlm_cli.generate.job import Job
    from dlm_cli.serve.asked import Asked
    from dlm_cli.serve.ticket import Drafts
    from dlm_core.results import Result


@dataclass(frozen=True)
class Answer:
    """The answers to one request."""

    asked: Asked
    job: Job
    model: str
    fingerprint: str
    id: str = field(default_factory=lambda: f"cmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, results: Sequence[Result]) -> dict[str, Any]:
        """All that is kept of a request."""
        return self.last(results) | {"usage": self._usage(results)}

    def usage(self, results: Sequence[Result]) -> dict[str, Any]:
        """What ends a stream that asked for it."""
        return self._frame([]) | {"usage": self._usage(results)}

    def last(self, results: Sequence[Result]) -> dict[str, Any]:
        """A stream's event of the finished texts."""
        told = self._frame([self._choice(index, result) for index, result in enumerate(results)])
        return told | ({"dlm": {"command": typed(self._recipe)}} if self.asked.wish.trace else {})

    def drafts(self, drafts: Drafts) -> dict[str, Any]:
        """A stream's event of a step; `text` is empty, so that a client may join what it gets."""
        choices = []
        for index, text in drafts.texts.items():
            told = {"draft": detokenise(text.words), "step": drafts.step, "steps": drafts.steps}
            told |= text.view if self.asked.wish.trace else {"t": text.t}
            choices.append(_choice(index, "", None, told))
        return self._frame(choices)

    def _choice(self, index: int, result: Result) -> dict[str, Any]:
        told = result.model_dump(mode="json")
        if self.asked.wish.trace:
            told = result.view | {"command": typed_again(self._recipe, result.seed)}
            for control, term in zip(told["controls"], self.asked.item.controls, strict=True):
                control["spec"] = str(term)  # of an object, which is typed as JSON
        return _choice(index, self.asked.written(result), "stop", told)

    @property
    def _recipe(self) -> Recipe:
        """What is asked as `dlm generate` is; a model by the name that it is served under."""
        item, wish, job = self.asked.item, self.asked.wish, self.job
        sampling = job.sampling
        if wish.temperature is not None:
            sampling = sampling.model_copy(update={"temperature": wish.temperature})
        return Recipe(
            model=self.model,
            controls=tuple(map(str, item.controls.terms)),
            n=item.n,
            seed=item.seed,
            select=wish.select,
            keep=wish.keep,
            verify=job.verify,
            sampling=sampling,
            guidance=job.guidance,
        )

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
