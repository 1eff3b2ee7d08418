"""generate(): requests -> batches -> x_T .. x_0 -> words -> results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import torch

from dlm_core.bundle import Model, ModelInfo
from dlm_core.config import (
    GuidanceConfig,
    SamplingConfig,
)
from dlm_core.control.compose import Controls, ControlSpec, Term, as_controls
from dlm_core.control.verdict import Verdict
from dlm_core.diffusion.noise import PerSampleNoise
from dlm_core.diffusion.samplers import Progress
from dlm_core.errors import MissingError
from dlm_core.generation.prepare import Prepared, Request, is_free, prepare
from dlm_core.generation.signature import signature
from dlm_core.generation.walk import Sample, Walk, to_end
from dlm_core.guidance.guard import Guard
from dlm_core.plugins.loading import load_plugins
from dlm_core.plugins.registry import Plugins
from dlm_core.results import Result, report
from dlm_core.selection import SelectorSpec, check_selector
from dlm_core.selection import select as choose

if TYPE_CHECKING:
    from collections.abc import Callable

    StepCallback = Callable[[float, list[str]], None]
    """(t, texts of x_0_hat) after a step."""


def generate(
    model: Model | str = "e2e",
    controls: Controls | ControlSpec | Iterable[ControlSpec] | None = None,
    n: int = 1,
    seed: int = 0,
    *,
    sampling: SamplingConfig | None = None,
    guidance: GuidanceConfig | None = None,
    batch_size: int = 64,
    verify: bool = True,
    plugins: Plugins | None = None,
    progress: Progress | None = None,
    on_step: StepCallback | None = None,
    select: SelectorSpec | None = None,
    keep: int = 1,
) -> list[Result]:
    """Generate n texts.

    Args:
        model: a loaded model, or the name or path of a bundle.
        controls: `Semantic(food="Japanese") + 0.5 * Length(12)`, one spec, several, or None.
        n: how many texts.
        seed: text i has seed + i and depends on nothing else of the call but controls and settings.
        sampling: sampler, steps, clamping.
        guidance: mode and its settings.
        batch_size: texts walked together; changes memory and speed, not the texts.
        verify: also judge each text by its controls' verdicts.
        plugins: who provides the controls (named in reports); loaded on demand if omitted.
        progress: called with (steps done, steps in all).
        on_step: called with t and the current words of x_0_hat, for watching.
        select: chooses among the n texts, for example `MBR(utility="bleu")`.
        keep: how many it keeps, best first.

    Raises:
        SpecError, UnsatisfiableError: the controls ask what the model cannot do.
        MissingError: a bundle, a trained head, or what the selector needs is missing.
        PluginError: a control broke the protocol.
    """
    request = Request(as_controls(controls), n, seed)
    plugins = plugins or load_plugins()
    owner = plugins.origin("selector", select.kind) if select is not None else ""
    if select is not None:
        check_selector(select, owner)
    batches = generate_batches(
        model,
        [request],
        sampling=sampling,
        guidance=guidance,
        batch_size=batch_size,
        verify=verify,
        plugins=plugins,
        progress=progress,
        on_step=on_step,
    )
    results = [result for batch in batches for _, result in batch]
    return results if select is None else choose(select, results, keep, owner=owner)


def generate_batches(
    model: Model | str,
    requests: Sequence[Request],
    *,
    sampling: SamplingConfig | None = None,
    guidance: GuidanceConfig | None = None,
    batch_size: int = 64,
    verify: bool = True,
    plugins: Plugins | None = None,
    progress: Progress | None = None,
    on_step: StepCallback | None = None,
) -> Iterator[list[tuple[int, Result]]]:
    """Walk many requests, of different controls, in shared batches.

    Yields:
        after each batch, its (index of the request, result), in order of requests and seeds, so
        that nothing finished is lost when a later batch fails.
    """
    if isinstance(model, str):
        model = Model.load(model)
    sampling = sampling or SamplingConfig()
    guidance = guidance or GuidanceConfig()
    plugins = plugins or load_plugins()
    prepared = [prepare(model, request, plugins) for request in requests]
    total = -(-sum(request.n for request in requests) // batch_size) * sampling.steps
    for number, batch in enumerate(_batched(_samples(model, prepared), batch_size)):
        walk = Walk(model, prepared, batch, sampling, guidance, on_step)
        words = walk.run(_shifted(progress, number * sampling.steps, total))
        log_probs = walk.final_log_probs(words)
        results = []
        for row, sample in enumerate(batch):
            owner = prepared[sample.owner]
            tokens = model.vocab.tokens(to_end(words[row, : sample.words].tolist(), model))
            text = " ".join(tokens)
            terms = zip(owner.request.controls.terms, owner.guards, log_probs[row], strict=True)
            result = Result(
                text=text,
                tokens=tokens,
                seed=sample.seed,
                controls=[
                    report(
                        term.label,
                        term.weight,
                        log_prob,
                        _verdict(term, text, guard, model.info)
                        if verify
                        else Verdict(None, "not asked for"),
                        guard.plugin,
                    )
                    for term, guard, log_prob in terms
                ],
                signature=signature(model, owner.request.controls, sampling, guidance, sample.seed),
                drafts=(walk.drafts[0][row], walk.drafts[1][row]),
            )
            results.append((sample.owner, result))
        yield results


def _samples(model: Model, prepared: Sequence[Prepared]) -> Iterator[Sample]:
    for owner, p in enumerate(prepared):
        for seed in range(p.request.seed, p.request.seed + p.request.n):
            yield Sample(owner, seed, _draw_words(model, p, seed), is_free(model, p))


def _batched(samples: Iterator[Sample], size: int) -> Iterator[list[Sample]]:
    while batch := list(islice(samples, size)):
        yield batch


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
        return Verdict(None, error.message + (f" ({error.hint})" if error.hint else ""))
