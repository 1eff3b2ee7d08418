"""The kit a plugin's author tests with.

    from dlm_core.testing import assert_control, assert_selector

    def test_formal() -> None:
        assert_control("formal:yes")

It runs a control through everything dlm will ask of it, on the embedded model or one of your own,
and raises AssertionError with what is wrong at the first promise that does not hold; selectors
likewise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import torch
from torch import Tensor

from dlm_core.bundle import Model
from dlm_core.config import SamplingConfig
from dlm_core.control.compose import Controls, ControlSpec, Term, as_controls
from dlm_core.control.parse import parse_spec
from dlm_core.control.protocol import SupportsFixed, SupportsTilt
from dlm_core.control.state import State
from dlm_core.diffusion.noise import PerSampleNoise
from dlm_core.diffusion.prediction import Prediction
from dlm_core.errors import MissingError, PluginError
from dlm_core.generation.generate import generate
from dlm_core.generation.prepare import Request, prepare
from dlm_core.guidance.guard import Guard
from dlm_core.plugins.loading import load_plugins
from dlm_core.plugins.registry import Plugins
from dlm_core.results import ControlReport, Result
from dlm_core.selection import SelectorSpec, check_selector, parse_selector, select

TEXTS, MORE_TEXTS, STEPS = 4, 16, 8
NO_ROOM = math.log(0.9)
"""Where log p(c) is above this, guidance need not raise it."""


def assert_control(
    spec: str | ControlSpec, model: Model | None = None, *, plugins: Plugins | None = None
) -> None:
    """Assert that a control keeps its promises.

    Checked are: the spec string, its JSON form and the examples parse back to what they were; the
    model can honour it; `log_prob` is (B,), finite, the same twice, of each sample alone, and has a
    gradient in what the control reads (the rounding distribution in `posterior` mode, x_t in
    `paper` mode), and is at most 0 if the control says it is `normalised`; the tilt is a
    distribution; `verify` judges; and guided texts have a higher log p(c) than unguided ones of the
    same seeds and lengths, where there is room for it.

    Args:
        spec: a spec string of an installed control, or a spec object.
        model: what to try it on; the embedded model if omitted.
        plugins: who provides the control; those installed if omitted.

    Raises:
        AssertionError: a promise does not hold; the message says which.
        SpecError, UnsatisfiableError, MissingError: the model cannot honour this spec.
    """
    model = model or Model.load()
    plugins = plugins or load_plugins()
    with _naming(spec):
        term = _round_trips(spec, plugins)
        request = Request(Controls((Term(term.spec, 1.0),)), TEXTS)
        guard = prepare(model, request, plugins).guards[0]
        wanted = Term(term.spec).lengths(model.info)
        words = min(wanted.high or 12, model.info.max_words)
        lengths = torch.full((TEXTS,), max(words, wanted.low))
        for t in (0.9, 0.3):
            with torch.no_grad():
                state = _state(model, lengths, t)
            _log_prob_holds(guard, state, term.spec.normalised)
            _gradient_reaches_its_leaf(guard, state, model)
        with suppress(MissingError):  # the judge is an optional package
            Term(term.spec).verify("a text of no meaning", model.info)
        _guidance_raises_it(term.spec, guard, model, plugins)


def assert_selector(
    spec: str | SelectorSpec,
    candidates: Sequence[Result] | None = None,
    *,
    plugins: Plugins | None = None,
) -> None:
    """Assert that a selector keeps its promises.

    Checked are: the spec string, its JSON form and the examples parse back to what they were; it
    gives one finite score a candidate, also to an only one; the scores are the same twice, and do
    not depend on the candidates' order.

    Args:
        spec: a spec string of an installed selector, or a spec object.
        candidates: what to choose among; five short texts, one of them twice, if omitted.
        plugins: who provides the selector; those installed if omitted.

    Raises:
        AssertionError: a promise does not hold; the message says which.
        SpecError, UsageError, MissingError: the selector cannot work here.
    """
    kinds = dict((plugins or load_plugins()).selectors)
    candidates = list(candidates or _candidates())
    with _naming(spec):
        if isinstance(spec, SelectorSpec):
            kinds[spec.kind] = type(spec)
        selector = parse_selector(spec, kinds) if isinstance(spec, str) else spec
        _selector_round_trips(selector, kinds)
        check_selector(selector)
        scores = _scores(selector, candidates)
        assert _scores(selector, candidates) == scores, "scores differ from one call to the next"
        turned = _scores(selector, candidates[::-1])
        same = all(math.isclose(turned[k], scores[k], abs_tol=1e-6) for k in scores)
        assert same, f"scores depend on the candidates' order: {scores}, turned round {turned}"
        _scores(selector, candidates[:1])


def _candidates() -> list[Result]:
    texts = ("A cheap pub .", "A pub near the river .", "The Mill is cheap .", "A cheap pub .")
    return [
        Result(
            text=text,
            tokens=text.split(),
            seed=seed,
            controls=[
                ControlReport(
                    spec="length:4", weight=1.0, log_prob=-seed, satisfied=len(text.split()) == 4
                )
            ],
        )
        for seed, text in enumerate((*texts, "There is a pub ."))
    ]


def _scores(selector: SelectorSpec, candidates: Sequence[Result]) -> dict[int, float]:
    """Seed -> score."""
    chosen = select(selector, candidates, keep=len(candidates))
    return {result.seed: result.score or 0.0 for result in chosen}


def _selector_round_trips(selector: SelectorSpec, kinds: Mapping[str, type[SelectorSpec]]) -> None:
    for source in (str(selector), *type(selector).examples):
        parsed = parse_selector(source, kinds)
        again = parse_selector(str(parsed), kinds)
        assert again == parsed, f"{source!r} is written {str(parsed)!r}, which reads {again!r}"
    assert parse_selector(str(selector), kinds) == selector, "does not read as itself"


@contextmanager
def _naming(spec: str | ControlSpec | SelectorSpec) -> Iterator[None]:
    try:
        yield
    except PluginError as error:
        raise AssertionError(f"{spec}: {error.message}") from error
    except AssertionError as error:
        raise AssertionError(f"{spec}: {error}") from error


def _round_trips(spec: str | ControlSpec, plugins: Plugins) -> Term:
    kinds = dict(plugins.controls)
    if isinstance(spec, ControlSpec):
        kinds[spec.kind] = type(spec)
    term = parse_spec(spec, kinds) if isinstance(spec, str) else as_controls(spec).terms[0]
    cls = type(term.spec)
    for source in (str(term), *cls.examples):
        parsed = parse_spec(source, kinds)
        again = parse_spec(str(parsed), kinds).spec
        assert again == parsed.spec, f"{source!r} is written {str(parsed)!r}, which reads {again!r}"
        dumped = parse_spec(f"{cls.kind}:{parsed.spec.model_dump_json()}", kinds).spec
        assert dumped == parsed.spec, f"{source!r} in JSON reads {dumped!r}"
    assert parse_spec(str(term), kinds).spec == term.spec, f"'{term}' does not read as itself"
    return term


def _state(model: Model, lengths: Tensor, t: float, x_t: Tensor | None = None) -> State:
    """What a control sees of noise at t; rows 0, 1, ... have seeds of their own."""
    net = model.net
    times = torch.full((len(lengths),), t, device=model.device)
    lengths = lengths.to(model.device)
    if x_t is None:
        noise = PerSampleNoise(range(len(lengths)), "testing", model.device)
        x_t = noise.normal(int(lengths.max()), net.config.embedding_dim)

    def predict() -> Prediction:
        log_q = net.predict(x_t, times, lengths).token_log_probs.clamp(min=-40.0)
        return Prediction(log_q.exp() @ net.embedding_matrix, log_q)

    alpha_bar = net.schedule.alpha_bar(times)
    seeds = tuple(range(len(lengths)))
    return State(x_t, times, alpha_bar, lengths, net.embedding_matrix, predict, seeds)


@torch.no_grad()
def _log_prob_holds(guard: Guard, state: State, normalised: bool) -> None:
    together = guard.log_prob(state)
    assert not normalised or bool((together < 1e-4).all()), (
        f"a normalised control gives p = {float(together.max().exp()):.4f}, more than 1"
    )
    assert torch.equal(guard.log_prob(state), together), (
        "log_prob differs from one call to the next"
    )
    for i in range(TEXTS):
        alone = guard.log_prob(state.rows(slice(i, i + 1)))[0]
        assert math.isclose(float(alone), float(together[i]), rel_tol=1e-3, abs_tol=1e-3), (
            f"samples mix: log_prob of sample {i} is {float(alone):.4f} alone, "
            f"{float(together[i]):.4f} in its batch"
        )


def _gradient_reaches_its_leaf(guard: Guard, state: State, model: Model) -> None:
    hard = isinstance(guard.control, SupportsTilt | SupportsFixed)
    with torch.no_grad():
        tilted = guard.tilt(state)  # raises where there is no gradient, or not a finite one
        total = tilted.exp().sum(-1)
        moved = (tilted.exp() - state.token_log_probs.exp()).abs().max()
    assert torch.allclose(total, torch.ones_like(total), atol=1e-3), "tilt is not a distribution"
    assert hard or moved > 1e-6, "posterior mode: the gradient in token_log_probs is zero"
    leaf = state.x_t.detach().clone().requires_grad_()
    with torch.enable_grad():
        value = guard.log_prob(_state(model, state.lengths, float(state.t[0]), leaf), True)
        (gradient,) = torch.autograd.grad(value.sum(), leaf, allow_unused=True)
    assert gradient is not None, "paper mode: log_prob does not depend on x_t"
    assert bool(gradient.isfinite().all()), "paper mode: the gradient in x_t is not finite"
    assert hard or bool(gradient.any()), "paper mode: the gradient in x_t is zero"


def _guidance_raises_it(spec: ControlSpec, guard: Guard, model: Model, plugins: Plugins) -> None:
    """At weight 0 a control sets the length and the fixed words, and steers nothing else.

    A few texts decide where they can; chance decides over them where guidance does little, so that
    more are asked then. Where p(c) is near 1 without it, there is nothing to raise.
    """
    for texts in (TEXTS, MORE_TEXTS):
        free, _ = _mean_log_prob(0.0 * spec, texts, model, plugins)
        guided, held = _mean_log_prob(1.0 * spec, texts, model, plugins)
        if isinstance(guard.control, SupportsFixed):
            assert held, "a hard constraint does not hold in the texts, by its own verdict"
        if guided > free or max(free, guided) > NO_ROOM or (guided == free and held):
            return
    raise AssertionError(
        f"guidance does not raise log p(c): {free:.3f} without, {guided:.3f} with it"
    )


def _mean_log_prob(
    controls: Controls, texts: int, model: Model, plugins: Plugins
) -> tuple[float, bool]:
    """Over texts, and whether every verdict holds that could be given."""
    sampling = SamplingConfig(steps=STEPS)
    reports = [
        result.controls[0]
        for result in generate(model, controls, texts, sampling=sampling, plugins=plugins)
    ]
    mean = sum(report.log_prob or 0.0 for report in reports) / texts
    return mean, all(report.satisfied is not False for report in reports)
