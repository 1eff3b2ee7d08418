"""A completion as a request to `generate`: read, checked against the model and the limits."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlm_cli.controls import check_heads
from dlm_cli.generate.job import Job
from dlm_cli.requests.item import Item, make_item
from dlm_cli.requests.recipes import validate
from dlm_cli.serve.errors import RefusedError
from dlm_cli.serve.limits import Limits
from dlm_cli.serve.schema import Completion
from dlm_core.control.compose import Controls, Term
from dlm_core.control.parse import parse_spec
from dlm_core.errors import DLMError
from dlm_core.natural import detokenise
from dlm_core.selection import parse_selector
from dlm_core.text import load_json

if TYPE_CHECKING:
    from dlm_controls.infill import Infill
    from dlm_core.results import Result


@dataclass(frozen=True)
class Asked:
    """A completion that can be made.

    Attributes:
        item: for `generate_batches`.
        wish: what was sent.
        infill: prompt and suffix in the model's tokens; None for a free text.
    """

    item: Item
    wish: Completion
    infill: Infill | None

    @property
    def context(self) -> int:
        """How many words of a text are those of prompt and suffix."""
        left, right = self._sides
        return len(left) + len(right)

    @property
    def _sides(self) -> tuple[list[str], list[str]]:
        if self.infill is None:
            return [], []
        return self.infill.left.split(), self.infill.right.split()

    def written(self, result: Result) -> str:
        """What stands between prompt and suffix, blanks included, or all of a text."""
        if self.infill is None or self.wish.echo:
            return result.text
        sides = self._sides
        left, right = map(detokenise, sides)
        if result.text.startswith(left) and result.text.endswith(right):
            text = result.text[len(left) : len(result.text) - len(right)]
        else:  # a mark of the gap joins a word of the context
            gap = result.tokens[len(sides[0]) : len(result.tokens) - len(sides[1])]
            text = f" {detokenise(gap)} "
        prompt, suffix = self.wish.prompt or " ", self.wish.suffix or " "
        text = text.lstrip() if prompt[-1].isspace() else text
        return text.rstrip() if suffix[0].isspace() else text


def read_asked(body: bytes, job: Job, limits: Limits, served: str) -> Asked:
    """The completion that a body asks for.

    Raises:
        RefusedError: what is wrong, and with which key.
    """
    try:
        data = load_json(body)
    except ValueError as error:
        raise RefusedError(400, "invalid_request", f"the body: {error}") from error
    if not isinstance(data, dict):
        raise RefusedError(
            400,
            "invalid_request",
            "the body: expected a JSON object",
            '{"controls": ["length:12"]}',
        )
    wish = _within(data, limits)
    if wish.model not in (None, served):
        raise RefusedError.no_model(wish.model, served)
    try:
        return _checked(wish, job, limits)
    except DLMError as error:
        raise RefusedError.of(error) from error


def _within(data: dict[str, Any], limits: Limits) -> Completion:
    """The keys, none of them beyond its limit."""
    try:
        wish = validate(Completion, data, "request")
    except DLMError as error:
        raise RefusedError.of(error) from error
    for key, value, limit, name in (
        ("n", wish.n, limits.max_n, "texts"),
        ("controls", len(wish.controls), limits.max_controls, "controls"),
    ):
        if value > limit:
            raise RefusedError(
                400, "limit_exceeded",
                f"request, key '{key}': {value:,} {name}; at most {limit} in one request",
                "send several requests", param=key,
            )  # fmt: skip
    return wish


def _checked(wish: Completion, job: Job, limits: Limits) -> Asked:
    seed = secrets.randbelow(2**31) if wish.seed is None else wish.seed
    if wish.select is not None:  # before `make_item` asks it for all it needs
        selector = parse_selector(wish.select, job.plugins.selectors)
        _refuse_paths(dict(selector).values(), "select")
    item = make_item((), wish.n, seed, wish.select, wish.keep, job.plugins)
    terms = [_term(spec, f"controls.{k}", job) for k, spec in enumerate(wish.controls)]
    infill = _infill(wish, job)
    sides: Any = None if infill is None else infill.spec.bind(job.info)
    asked = Asked(item, wish, sides)
    controls = Controls((*terms, *([] if infill is None else [infill])))
    controls = _short_enough(controls, asked.context, wish, job, limits)
    check_heads(controls, job.info)
    return replace(asked, item=replace(item, controls=controls))


def _term(spec: str, key: str, job: Job) -> Term:
    """One control, checked by itself; an error tells which it is."""
    try:
        term = parse_spec(spec, job.plugins.controls)
        with term.named_errors("head_folder"):
            folder = term.spec.head_folder(job.info).resolve()
        own = (job.info.head_path(""), *job.info.head_places.values())
        if not any(folder.is_relative_to(place.resolve()) for place in own):
            _refuse_paths([folder], key)
        term.check(job.info)
    except DLMError as error:
        raise RefusedError.of(error, key) from error
    typed = not spec.partition(":")[2].startswith("{")  # else it came as an object
    return term if typed else replace(term, source=None)


def _refuse_paths(values: Iterable[object], key: str) -> None:
    """A client names no file of the server's disk."""
    if any(isinstance(value, Path) for value in values):
        raise RefusedError(
            400, "invalid_request", f"request, key '{key}': no path can be named here",
            "a server reads no folder that a client names", param=key,
        )  # fmt: skip


def _infill(wish: Completion, job: Job) -> Term | None:
    """Prompt and suffix as a control."""
    sides = {"left": wish.prompt or "", "right": wish.suffix or ""}
    if not any(side.strip() for side in sides.values()):
        return None
    key = "prompt" if sides["left"].strip() else "suffix"
    return _term(f"infill:{json.dumps(sides, ensure_ascii=False)}", key, job)


def _short_enough(
    controls: Controls, context: int, wish: Completion, job: Job, limits: Limits
) -> Controls:
    """The controls, and one on the length where they admit more words than are wanted."""
    lengths = controls.check(job.info)
    most = min(limits.max_words or job.info.max_words, job.info.max_words)
    if wish.max_tokens is not None:
        most = min(most, context + wish.max_tokens)
    if lengths.high is not None and lengths.high <= most:
        return controls
    controls += Controls((parse_spec(f"length:1-{most}", job.plugins.controls),))
    controls.check(job.info)
    return controls
