"""Saying what is asked and what came of it: the dry run, and the summary."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from dlm_cli.output import stderr
from dlm_cli.requests.recipes import Recipe
from dlm_cli.words import spell_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dlm_cli.generate.job import Job
    from dlm_core.bundle import ModelInfo
    from dlm_core.control.compose import Controls, Term
    from dlm_core.control.lengths import Lengths
    from dlm_core.plugins.registry import Plugins
    from dlm_core.results import Result


def describe(
    job: Job, controls: Controls, lengths: Lengths, request: dict[str, Any]
) -> dict[str, Any]:
    """The resolved request, everything a text will depend on."""
    from dlm_core.version import VERSION

    info = job.info
    return {
        "dlm": VERSION,
        "model": {"name": info.path.name, "path": str(info.path), "sha256": info.sha256},
        "controls": [_describe_term(term, info, job.plugins) for term in controls.terms],
        "lengths": {"low": lengths.low, "high": lengths.high},
        **request,
        "sampling": job.sampling.model_dump(mode="json"),
        "guidance": job.guidance.model_dump(mode="json"),
    }


def print_recipe(recipe: Recipe, resolved: dict[str, Any]) -> None:
    """A recipe on stdout, with what it comes to in its comments."""
    model, lengths = resolved["model"], resolved["lengths"]
    print(f"# dlm {resolved['dlm']}, model {model['name']} (sha256 {model['sha256'][:8]})")
    high = f"to {lengths['high']}" if lengths["high"] else "or more"
    print(f"# texts of {lengths['low']} {high} words")
    for term in resolved["controls"]:
        spec = json.dumps(term["spec"], ensure_ascii=False)  # on one line, whatever it holds
        head = term["head_digest"] or term["head"]
        judge = f", judge: {term['judge']}" if term["judge"] else ""
        print(f"# {spec} by {term['plugin']}, head: {head}{judge}")
    if recipe.plugins:
        print("# names Python files that it runs: make texts with --allow-plugins")
    print(recipe.toml(), end="")


def _describe_term(term: Term, info: ModelInfo, plugins: Plugins) -> dict[str, Any]:
    from dlm_cli.controls import head_state
    from dlm_core.generation.signature import head_name

    kind = term.spec.kind
    state = head_state(type(term.spec), info)
    return {
        "spec": str(term),
        "kind": kind,
        "fields": term.spec.model_dump(mode="json"),
        "weight": term.weight,
        "plugin": plugins.origin("control", kind),
        "head": state,
        "head_digest": head_name(term.spec, info),
        "judge": term.spec.judged_by(),
    }


def summarise(controls: Controls, made: Sequence[Result]) -> None:
    """One line a control on stderr; why a verdict is missing is said once."""
    width = max((len(term.label) for term in controls.terms), default=0)
    reasons: dict[str, None] = {}
    for k, term in enumerate(controls.terms):
        reports = [result.controls[k] for result in made]
        judged = [report.satisfied for report in reports if report.satisfied is not None]
        reasons |= {report.detail: None for report in reports if report.satisfied is None}
        verdict = f"{sum(judged)}/{len(judged)} satisfied" if judged else "not judged"
        if judged and len(judged) < len(reports):
            verdict += f", {len(reports) - len(judged)} not judged"
        parts = [report.parts for report in reports if report.parts]
        for name in parts[0] if parts else ():
            verdict += f", {name} {sum(part.get(name, False) for part in parts)}/{len(parts)}"
        stderr(f"{term.label:{width}}  {verdict}")
    for reason in reasons:
        if reason:
            stderr(f"hint: not judged: {reason}")


class Tally:
    """Counts what was made, for the line at the end; the clock runs from its making."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self.texts = 0
        self._satisfied: Counter[bool | None] = Counter()
        self._failed: Counter[str] = Counter()
        """Texts of which a control of this kind does not hold."""

    def add(self, made: Sequence[Result]) -> None:
        """Count texts that were written."""
        self.texts += len(made)
        for result in made:
            if result.controls:
                self._satisfied[result.satisfied] += 1
            kinds = {
                report.spec.removeprefix("not ").partition(":")[0].partition("@")[0]
                for report in result.controls
                if report.satisfied is False
            }
            self._failed.update(kinds)

    @classmethod
    def sum(cls, tallies: Sequence[Tally]) -> Tally:
        """Of several processes; the first's clock runs on."""
        whole = tallies[0]
        for other in tallies[1:]:
            whole.texts += other.texts
            whole._satisfied += other._satisfied
            whole._failed += other._failed
        return whole

    def tell(self, path: Path | None, requests: int | None = None, others: str = "") -> None:
        """`200 texts of 200 requests in 1 min 40 s; 183 satisfied, 17 not: pos 12, semantic 5`."""
        line = _counted(self.texts, "text")
        line += "" if requests is None else f" of {_counted(requests, 'request')}"
        line += f" in {spell_time(time.monotonic() - self._start)}"
        line += "" if path is None else f", written to {path}"
        judged = self._satisfied[True] + self._satisfied[False]
        if judged:
            counts = [f"{self._satisfied[True]} satisfied"]
            if self._satisfied[False]:
                kinds = ", ".join(f"{kind} {n}" for kind, n in self._failed.most_common())
                counts.append(f"{self._satisfied[False]} not: {kinds}")
            line += f"; {', '.join(counts)}"
        if self._satisfied[None]:
            line += f"; {self._satisfied[None]} not judged"
        stderr(line + others)


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")
