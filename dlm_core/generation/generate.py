"""generate(): requests -> batches -> x_T .. x_0 -> words -> results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise
from typing import TYPE_CHECKING

import torch

from dlm_core.bundle import Model, ModelInfo
from dlm_core.config import (
    GuidanceConfig,
    SamplingConfig,
)
from dlm_core.control.compose import Term
from dlm_core.control.verdict import Verdict
from dlm_core.diffusion.noise import PerSampleNoise
from dlm_core.diffusion.samplers import Progress
from dlm_core.diffusion.surroundings import usual_torch
from dlm_core.errors import DLMError, MissingError, UsageError
from dlm_core.generation.arguments import (
    GuidanceLike,
    ModelLike,
    SamplingLike,
    controls_of,
    guidance_of,
    keep_of,
    model_of,
    sampling_of,
    selector_of,
    whole,
)
from dlm_core.generation.correct import correct
from dlm_core.generation.drafts import WRITTEN, Draft, finders, other_seed, read_drafts
from dlm_core.generation.prepare import Prepared, Request, is_free, prepare
from dlm_core.generation.signature import helpers, signature
from dlm_core.generation.walk import Sample, Walk, to_end
from dlm_core.guidance.guard import Guard
from dlm_core.natural import detokenise
from dlm_core.plugins.loading import load_plugins
from dlm_core.plugins.registry import Plugins
from dlm_core.results import Result, report
from dlm_core.selection import SelectorSpec, check_selector
from dlm_core.selection import select as choose

if TYPE_CHECKING:
    from dlm_core.control.compose import Asked
    from dlm_core.generation.walk import StepCallback

WINDOW = 4
"""Batches whose texts are sorted by length before they are walked: results wait for no more."""


def generate(
    model: ModelLike = "e2e",
    controls: Asked = None,
    n: int = 1,
    seed: int = 0,
    *,
    sampling: SamplingLike = None,
    guidance: GuidanceLike = None,
    batch_size: int | None = None,
    deterministic: bool = False,
    verify: bool = True,
    plugins: Plugins | None = None,
    progress: Progress | None = None,
    on_step: StepCallback | None = None,
    select: SelectorSpec | str | None = None,
    keep: int | None = None,
    trace: bool = False,
) -> list[Result]:
    """Generate n texts.

    Args:
        model: a loaded model, or the name or path of a bundle.
        controls: `Semantic(food="Japanese") + 0.5 * Length(12)`, a spec, a string as on the command
            line (`"length:12@0.5"`), several of these, or None.
        n: how many texts.
        seed: text i has seed + i and depends on nothing else of the call but controls and settings.
        sampling: sampler, steps, clamping; also as a dict, `{"steps": 50}`.
        guidance: mode and its settings; also as a dict, or the mode alone (`"paper"`).
        batch_size: texts walked together: memory and speed; rarely flips a word (docs/robustness).
            `usual_batch_size` if omitted.
        deterministic: walk each text alone, so that it is the same whatever is asked beside it.
        verify: also judge each text by its controls' verdicts.
        plugins: who provides the controls (named in reports); loaded on demand if omitted.
        progress: called with (steps done, steps in all).
        on_step: called with a `Step` a text of a batch, for watching: of its first draft.
        select: chooses among the n texts, for example `MBR(utility="bleu")` or `"mbr:bleu"`.
        keep: how many it keeps, best first; 1 if omitted (`none`: all).
        trace: keep every step of the draft that stands, and of its corrections, in `Result.trace`.

    Raises:
        UsageError: an argument is of the wrong kind or out of range.
        SpecError, UnsatisfiableError: the controls ask what the model cannot do.
        MissingError: a bundle, a trained head, or what the selector needs is missing.
        PluginError: a control broke the protocol.
    """
    plugins = plugins or load_plugins()
    request = Request(controls_of(controls, plugins), n, seed)
    selector = selector_of(select, plugins)
    kept = keep_of(keep, request.n, selector)
    owner = plugins.origin("selector", selector.kind) if selector is not None else ""
    if selector is not None:
        check_selector(selector, owner)
    batches = generate_batches(
        model, [request], sampling=sampling, guidance=guidance, batch_size=batch_size,
        deterministic=deterministic, verify=verify, plugins=plugins, progress=progress,
        on_step=on_step, trace=trace,
    )  # fmt: skip
    results = [result for batch in batches for _, result in batch]
    return results if selector is None else choose(selector, results, kept, owner=owner)


def generate_batches(
    model: ModelLike,
    requests: Sequence[Request | Prepared],
    *,
    sampling: SamplingLike = None,
    guidance: GuidanceLike = None,
    batch_size: int | None = None,
    deterministic: bool = False,
    verify: bool = True,
    plugins: Plugins | None = None,
    progress: Progress | None = None,
    on_step: StepCallback | None = None,
    trace: bool = False,
) -> Iterator[list[tuple[int, Result]]]:
    """Walk many requests, of different controls, in shared batches.

    Texts of like lengths share a batch, sorted within the next `WINDOW` batches. A request that
    `prepare` has prepared already, with this model and guidance, is not prepared again.

    Yields:
        as batches are done, (index of the request, result), in order of requests and seeds; when a
        batch fails, first what is finished, so that nothing is lost.
    """
    for request in requests:
        if not isinstance(request, Request | Prepared):
            raise UsageError(f"requests: expected a Request, got {request!r}")
    if batch_size is not None:
        whole("batch_size", batch_size, 1)
    settings = sampling_of(sampling), guidance_of(guidance)
    loaded = model_of(model)
    size = 1 if deterministic else batch_size or usual_batch_size(loaded.device)
    plugins = plugins or load_plugins()
    prepared = [
        one if isinstance(one, Prepared) else prepare(loaded, one, plugins, settings[1])
        for one in requests
    ]
    named = [
        helpers(p.request.controls, loaded.info, plugins, verify, p.writer is not None)
        for p in prepared
    ]
    run = _Run(loaded, prepared, named, *settings, verify, on_step, trace)
    total = -(-sum(p.request.n for p in prepared) // size) * run.sampling.steps
    return _in_order(run, size, progress, total)


def usual_batch_size(device: torch.device | str) -> int:
    """Texts walked together where nobody says: a GPU is not busy with as many as fill a CPU."""
    return 256 if torch.device(device).type == "cuda" else 64


@dataclass(frozen=True)
class _Run:
    """How the texts of all requests are made."""

    model: Model
    prepared: list[Prepared]
    helpers: list[list[str]]
    """Of each request, for its signatures."""
    sampling: SamplingConfig
    guidance: GuidanceConfig
    verify: bool
    on_step: StepCallback | None
    trace: bool

    @usual_torch()
    def results(
        self, batch: Sequence[Sample], progress: Progress | None
    ) -> list[tuple[int, Result]]:
        """Walk one batch, and judge its texts."""

        def walks(some: Sequence[Sample], stream: str, told: StepCallback | None = None) -> Walk:
            made = self.model, self.prepared, some, self.sampling, self.guidance
            return Walk(*made, told, stream, self.trace)

        groups = [self._drafts(sample) for sample in batch]
        rows = [draft for group in groups for draft in group]
        firsts = list(accumulate((len(group) for group in groups), initial=0))
        walk = walks(rows, "sampler", self._told(firsts[:-1]))
        compared = len(rows) > len(batch) or any(finders(p.guards) for p in self.prepared)
        found = read_drafts(walk, self.prepared, rows, walk.run(progress), compared)
        chosen = [
            min(range(start, end), key=lambda row: found[row].rank)
            for start, end in pairwise(firsts)
        ]
        best = [found[row] for row in chosen]
        kept = [rows[row] for row in chosen]
        best = correct(best, self.prepared, kept, self.sampling.corrections, walks)
        return [
            (sample.owner, self._result(sample, draft))
            for sample, draft in zip(batch, best, strict=True)
        ]

    def _drafts(self, sample: Sample) -> list[Sample]:
        """The text as it is to be made so many times."""
        prepared, count = self.prepared[sample.owner], self.sampling.drafts
        if count is None:
            own = self.model.info.sampling.drafts
            count = own if prepared.writer is None else WRITTEN
        seeds = [other_seed(sample.seed, number) for number in range(count)]
        return [
            sample,
            *(
                sample._replace(seed=seed, words=_draw_words(self.model, prepared, seed))
                for seed in seeds[1:]
            ),
        ]

    def _told(self, firsts: Sequence[int]) -> StepCallback | None:
        """Tells of the first draft of each text."""
        told = self.on_step
        return told and (lambda steps: told([steps[row] for row in firsts]))

    def _result(self, sample: Sample, draft: Draft) -> Result:
        owner = self.prepared[sample.owner]
        controls = owner.request.controls
        tokens = self.model.vocab.tokens(to_end(draft.words, self.model))
        for guard in owner.guards:
            tokens = guard.respell(tokens)
        reports = []
        for term, guard, log_prob in zip(
            controls.terms, owner.guards, draft.log_probs, strict=True
        ):
            verdict = Verdict(None, "not asked for")
            if self.verify:
                verdict = _verdict(term, " ".join(tokens), guard, self.model.info)
            reports.append(report(term.label, term.weight, log_prob, verdict, guard.plugin))
        made = self.model, controls, self.sampling, self.guidance, sample.seed
        return Result(
            text=detokenise(tokens),
            tokens=tokens,
            seed=sample.seed,
            controls=reports,
            signature=signature(*made, self.helpers[sample.owner]),
            drafts=draft.steps,
            trace=draft.trace,
        )

    @usual_torch()
    def next_samples(self, samples: Iterator[Sample], count: int) -> list[Sample]:
        """The next ones, whose lengths are drawn here."""
        return list(islice(samples, count))

    def samples(self) -> Iterator[Sample]:
        """All texts to make, in order of requests and seeds."""
        for owner, p in enumerate(self.prepared):
            free = is_free(self.model, p)
            for seed in range(p.request.seed, p.request.seed + p.request.n):
                yield Sample(owner, seed, _draw_words(self.model, p, seed), free)


def _in_order(
    run: _Run, size: int, progress: Progress | None, total: int
) -> Iterator[list[tuple[int, Result]]]:
    """Walk the samples in batches of like lengths, and yield their results in order."""
    samples, walked = run.samples(), 0
    while window := run.next_samples(samples, size * WINDOW):
        done: dict[int, tuple[int, Result]] = {}
        ready = 0
        for rows in _batched([sample.words for sample in window], size):
            try:
                shifted = _shifted(progress, walked * run.sampling.steps, total)
                results = run.results([window[k] for k in rows], shifted)
            except DLMError:
                if done:
                    yield [done[k] for k in sorted(done)]
                raise
            walked += 1
            done.update(zip(rows, results, strict=True))
            first, ready = ready, next(k for k in range(ready, len(window) + 1) if k not in done)
            if ready > first:
                yield [done.pop(k) for k in range(first, ready)]


def _batched(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Places in batches of like lengths, each in order; the batch of the first comes first."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return sorted(sorted(order[k : k + size]) for k in range(0, len(order), size))


def _shifted(progress: Progress | None, done: int, total: int) -> Progress | None:
    """The progress of one batch as that of all."""
    return None if progress is None else lambda k, _: progress(done + k, total)


def _draw_words(model: Model, prepared: Prepared, seed: int) -> int:
    """How many words the text of `seed` has: as many as fit where the model finds that itself."""
    if is_free(model, prepared):
        return model.info.max_words
    weights = prepared.length_weights.cumsum(0)
    u = PerSampleNoise([seed], "length").uniform().double().item()
    return int(torch.searchsorted(weights, u * weights[-1], right=True))


def _verdict(term: Term, text: str, guard: Guard, info: ModelInfo) -> Verdict:
    try:
        with term.named_errors("verify", guard.plugin):
            return term.verify(text, info)
    except MissingError as error:  # a package is missing: say so, keep the text
        return Verdict.unjudged(error)
