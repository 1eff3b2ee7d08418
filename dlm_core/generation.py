"""generate(): requests -> batches -> x_T .. x_0 -> words -> results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from dlm_core.bundle import Model, ModelInfo
from dlm_core.config import (
    FREE_TEMPERATURE,
    GUIDED_TEMPERATURE,
    GuidanceConfig,
    SamplingConfig,
)
from dlm_core.errors import MissingError, PluginError, UsageError
from dlm_core.guidance import (
    LOG_FLOOR,
    BuildContext,
    Contrary,
    Guard,
    GuidedRows,
    State,
    SupportsLengths,
    SupportsRounding,
    fixed_words,
    guide,
    round_words,
    tilt,
)
from dlm_core.model import Prediction, pick_words
from dlm_core.noise import PerSampleNoise
from dlm_core.plugins import Plugins, load_plugins
from dlm_core.results import Result, report
from dlm_core.sampling import Progress, ddim
from dlm_core.selection import SelectorSpec, check_selector
from dlm_core.selection import select as choose
from dlm_core.spec import Controls, ControlSpec, Lengths, Term, Verdict, as_controls
from dlm_core.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    StepCallback = Callable[[float, list[str]], None]
    """(t, texts of x_0_hat) after a step."""


@dataclass(frozen=True)
class Request:
    """n texts under one set of controls; sample i of it has seed `seed + i`."""

    controls: Controls = field(default_factory=Controls)
    n: int = 1
    seed: int = 0


@dataclass(frozen=True)
class _Prepared:
    """A request whose controls are built and checked."""

    request: Request
    guards: tuple[Guard, ...]
    """One a control, for its own figures."""
    lengths: Lengths
    joint: tuple[Guard, ...]
    """The same, those that merge as one: what tilts and rounds."""
    length_weights: Tensor
    """(max_words + 1,), of each number of words a text may have."""


@dataclass(frozen=True)
class _Sample:
    """One text to make."""

    owner: int
    seed: int
    words: int
    free: bool = False
    """START, END and PAD are words like others, and the text ends where END falls."""


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
        walk = _Walk(model, prepared, batch, sampling, guidance, on_step)
        words = walk.run(_shifted(progress, number * sampling.steps, total))
        log_probs = walk.final_log_probs(words)
        results = []
        for row, sample in enumerate(batch):
            owner = prepared[sample.owner]
            tokens = model.vocab.tokens(_to_end(words[row, : sample.words].tolist(), model))
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


def _samples(model: Model, prepared: Sequence[_Prepared]) -> Iterator[_Sample]:
    for owner, p in enumerate(prepared):
        for seed in range(p.request.seed, p.request.seed + p.request.n):
            yield _Sample(owner, seed, _draw_words(model, p, seed), _is_free(model, p))


def _batched(samples: Iterator[_Sample], size: int) -> Iterator[list[_Sample]]:
    while batch := list(islice(samples, size)):
        yield batch


def _shifted(progress: Progress | None, done: int, total: int) -> Progress | None:
    """The progress of one batch as that of all."""
    return None if progress is None else lambda k, _: progress(done + k, total)


def prepare(model: Model, request: Request, plugins: Plugins) -> _Prepared:
    """Check a request against the model and build its controls.

    Raises:
        SpecError, UnsatisfiableError, MissingError: as `ControlSpec.check` and `build` do.
        PluginError: they raised something else.
    """
    lengths = request.controls.check(model.info)
    context = BuildContext(model)
    guards = tuple(_build(term, context, plugins) for term in request.controls)
    joint = tuple(
        next((g for t, g in zip(request.controls, guards, strict=True) if t is term), None)
        or _build(term, context, plugins)
        for term in request.controls.merged()
    )
    rounding = [guard.label for guard in joint if isinstance(guard.control, SupportsRounding)]
    if len(rounding) > 1:
        raise UsageError(
            f"controls '{rounding[0]}' and '{rounding[1]}' both choose the final words",
            "only controls that merge can be guaranteed together: drop one",
        )
    return _Prepared(request, guards, lengths, joint, _length_weights(model, lengths, joint))


def _build(term: Term, context: BuildContext, plugins: Plugins) -> Guard:
    owner = plugins.origin("control", term.spec.kind)
    with term.named_errors("build", owner):
        control = term.spec.build(context)
    if not callable(getattr(control, "log_prob", None)):
        raise PluginError(
            f"control '{term.label}' from {owner or 'an unknown plugin'}: build() returned "
            f"{type(control).__name__}, which has no log_prob"
        )
    if term.negated:
        control = Contrary(control)
    return Guard(control, term.weight, term.label, owner)


def _is_free(model: Model, prepared: _Prepared) -> bool:
    """The paper's unconditional sampling: a padded model finds the length itself."""
    return model.info.config.length_mode == "padded" and not prepared.guards


def _to_end(ids: list[int], model: Model) -> list[int]:
    """The ids before the first END."""
    return ids[: ids.index(model.vocab.end)] if model.vocab.end in ids else ids


def _length_weights(model: Model, lengths: Lengths, guards: Sequence[Guard]) -> Tensor:
    """p(n | controls) of n = 0 .. max_words, up to a factor.

    The training distribution, within what the controls admit, times what they say of lengths.
    """
    count = model.info.max_words + 1
    # A small share everywhere, so that a length never seen in training can be asked for.
    weights = model.net.length_counts.detach().cpu().double()[:count] + 1e-6
    weights *= torch.tensor([n in lengths for n in range(count)])
    for guard in guards:
        if isinstance(guard.control, SupportsLengths):
            with torch.no_grad():
                ratios = guard.length_log_ratios(guard.control, count).detach().cpu().double()
            ratios = ratios.masked_fill(weights == 0, -torch.inf)
            weights = weights * (ratios - ratios.max()).exp()
    return weights


def _draw_words(model: Model, prepared: _Prepared, seed: int) -> int:
    """How many words the text of `seed` has: as many as fit where the model finds that itself."""
    if _is_free(model, prepared):
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


def signature(
    model: Model,
    controls: Controls,
    sampling: SamplingConfig,
    guidance: GuidanceConfig,
    seed: int,
) -> str:
    """One line that names everything a text depends on."""
    parts = [
        f"dlm:{VERSION}",
        f"model:{model.info.sha256[:8]}",
        f"sampler:{sampling.sampler}",
        f"steps:{sampling.steps}",
    ]
    sampling_rest = sampling.model_dump(exclude={"sampler", "steps"}, exclude_defaults=True)
    parts += [f"{k}:{v}" for k, v in sampling_rest.items()]
    if controls.terms:
        parts.append(f"guidance:{guidance.mode}")
        rest = guidance.model_dump(exclude={"mode"}, exclude_defaults=True)
        parts += [f"{k}:{v}" for k, v in rest.items()]
    parts += [f"c:{term}" for term in controls.terms]
    return "|".join([*parts, f"seed:{seed}"])


class _Walk:
    """One batch on its way from x_T to x_0.

    The canvas is what the denoiser sees: the words alone (`prior`), or START, words, END, PAD...
    (`padded`). Controls always see the words alone.
    """

    def __init__(
        self,
        model: Model,
        prepared: Sequence[_Prepared],
        batch: Sequence[_Sample],
        sampling: SamplingConfig,
        guidance: GuidanceConfig,
        on_step: StepCallback | None,
    ) -> None:
        self.model, self.net = model, model.net
        self.sampling, self.guidance = sampling, guidance
        self.on_step = on_step
        device = model.device
        self.seeds = tuple(s.seed for s in batch)
        self.words = torch.tensor([s.words for s in batch], device=device)  # (B,)
        self.noise = PerSampleNoise(self.seeds, device=device)
        config = self.net.config
        self.padded = config.length_mode == "padded"
        self.offset = 1 if self.padded else 0
        self.longest = int(self.words.max())
        self.width = config.max_len if self.padded else self.longest
        self.lengths = torch.full_like(self.words, self.width) if self.padded else self.words
        groups = {
            owner: [row for row, s in enumerate(batch) if s.owner == owner]
            for owner in sorted({s.owner for s in batch})
        }
        self.owners = [
            GuidedRows(slice(r[0], r[-1] + 1), prepared[o].guards, prepared[o].joint)
            for o, r in groups.items()
        ]
        self.groups = [group for group in self.owners if group.guards]
        self.free = torch.tensor([s.free for s in batch], device=device)  # (B,)
        self.allowed, self.fixed = self._canvas()
        self.previous: Tensor | None = None
        self.temperature = self._temperature()

    def _canvas(self) -> tuple[Tensor, Tensor]:
        """Words that may be produced, (B, 1, V), and ids fixed from the start, (B, width) or -1."""
        vocab = self.model.vocab
        shape = (len(self.words), 1, len(vocab))
        allowed = torch.ones(shape, dtype=torch.bool, device=self.model.device)
        allowed[..., vocab.unk] = False
        for word in (vocab.start, vocab.end, vocab.pad):
            allowed[..., word] = self.free[:, None]
        fixed = torch.full((len(self.words), self.width), -1, device=self.model.device)
        if self.padded:
            position = torch.arange(self.width, device=self.model.device)
            end = (self.words + 1)[:, None]
            fixed = torch.where(position > end, vocab.pad, fixed)
            fixed = torch.where(position == end, vocab.end, fixed)
            fixed[:, 0] = vocab.start
            fixed[self.free] = -1
        inner = fixed_words(self.groups, self.words, self.longest)
        window = fixed[:, self.offset : self.offset + self.longest]
        fixed[:, self.offset : self.offset + self.longest] = torch.where(inner >= 0, inner, window)
        return allowed, fixed

    def _temperature(self) -> Tensor:
        """Of each text's words, (B, 1, 1)."""
        shape = (len(self.words), 1, 1)
        if self.sampling.temperature is not None:
            return torch.full(shape, self.sampling.temperature, device=self.words.device)
        out = torch.full(shape, FREE_TEMPERATURE, device=self.words.device)
        for group in self.groups:
            out[group.rows] = GUIDED_TEMPERATURE
        return out

    def _window(self, x: Tensor) -> Tensor:
        """The word positions of a canvas tensor."""
        return x[:, self.offset : self.offset + self.longest]

    def _randn(self) -> Tensor:
        # Always max_len positions, so that a sample's draws do not depend on its batch's width.
        config = self.net.config
        return self.noise.normal(config.max_len, config.embedding_dim)[:, : self.width]

    def _predict(self, x_t: Tensor, t: Tensor) -> Prediction:
        """The denoiser's prediction with forbidden words out and fixed words in."""
        predicted = self.net.predict(x_t, t, self.lengths, self.previous)
        log_q = predicted.token_log_probs.masked_fill(~self.allowed, -torch.inf)
        log_q = F.log_softmax(log_q, dim=-1).clamp(min=LOG_FLOOR)
        if bool((self.fixed >= 0).any()):
            one_hot = torch.full_like(log_q, LOG_FLOOR)
            one_hot.scatter_(-1, self.fixed.clamp(min=0)[..., None], 0.0)
            log_q = torch.where((self.fixed >= 0)[..., None], one_hot, log_q)
        return Prediction(log_q.exp() @ self.net.embedding_matrix, log_q)

    def _state(self, x_t: Tensor, t: Tensor, predict: Callable[[], Prediction]) -> State:
        def words_only() -> Prediction:
            p = predict()
            return Prediction(self._window(p.x_0_hat), self._window(p.token_log_probs))

        return State(
            self._window(x_t),
            t,
            self.net.schedule.alpha_bar(t),
            self.words,
            self.net.embedding_matrix,
            words_only,
            self.seeds,
        )

    def _active(self, t: Tensor) -> bool:
        return bool(self.groups) and self.guidance.t_min <= float(t[0]) <= self.guidance.t_max

    def _denoise(self, x_t: Tensor, t: Tensor) -> Tensor:
        """x_0_hat after control (posterior mode) and clamping."""
        predicted = self._predict(x_t, t)
        log_q = predicted.token_log_probs
        if self.guidance.mode != "paper" and self._active(t):
            tilted = tilt(self._state(x_t, t, lambda: predicted), self.groups)
            log_q = log_q.clone()
            log_q[:, self.offset : self.offset + self.longest] = tilted
            if bool((self.fixed >= 0).any()):
                hard = (self.fixed >= 0)[..., None]
                log_q = torch.where(hard, predicted.token_log_probs, log_q)
        self.log_q, self.unguided = log_q, predicted.token_log_probs
        sharp = F.softmax(log_q / self.sampling.self_conditioning_temperature, dim=-1)
        self.previous = sharp @ self.net.embedding_matrix
        if self.on_step is not None:
            self.on_step(float(t[0]), self._texts(log_q.argmax(-1)))
        if not self.sampling.clamp or float(t[0]) > self.sampling.clamp_start:
            return log_q.exp() @ self.net.embedding_matrix
        return self.net.embed(self._pick(log_q))

    def _pick(self, log_q: Tensor) -> Tensor:
        """The word the clamp snaps to, (B, L): the likeliest, or drawn at a temperature."""
        if self.sampling.temperature == 0:
            return log_q.argmax(-1)
        u = self.noise.uniform(self.net.config.max_len)[:, : self.width]
        return pick_words(log_q, u, self.temperature)

    def _guide(self, x_s: Tensor, s: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        if not self._active(s):
            return x_s
        return guide(
            x_s,
            mean,
            var,
            lambda x: self._state(x, s, lambda: self._predict(x, s)),
            self.groups,
            self.guidance,
        )

    @torch.no_grad()
    def run(self, progress: Progress | None = None) -> Tensor:
        """Word ids (B, longest) of the finished texts."""
        sampling = self.sampling
        ddim(
            self._denoise,
            self._randn(),
            self.net.schedule.timesteps(sampling.steps, sampling.spacing, sampling.time_power),
            self.net.schedule,
            self._randn,
            1.0 if sampling.sampler == "ancestral" else sampling.eta,
            self._guide if self.guidance.mode != "posterior" and self.groups else None,
            progress,
        )
        self.drafts = (self._texts(self.unguided.argmax(-1)), self._texts(self.log_q.argmax(-1)))
        # rounding: argmax p(w | x_0) (§4.2), among the texts that hard constraints admit
        log_q = self.log_q.masked_fill(~self.allowed, -torch.inf)
        held = F.one_hot(self.fixed.clamp(min=0), log_q.shape[-1]).bool()
        log_q = log_q.masked_fill((self.fixed >= 0)[..., None] & ~held, -torch.inf)
        return round_words(self._window(log_q), self.groups, self.words)

    @torch.no_grad()
    def final_log_probs(self, words: Tensor) -> list[list[float]]:
        """log p(c | words) of each control of each sample: the state is the text without noise."""
        one_hot = F.one_hot(words, len(self.model.vocab)).float()
        log_q = one_hot.log().clamp(min=LOG_FLOOR)
        embedding = self.net.embedding_matrix
        x_0 = F.embedding(words, embedding)
        t = torch.full((len(words),), 1.0 / self.net.config.train_steps, device=words.device)
        state = State(
            x_0,
            t,
            self.net.schedule.alpha_bar(t),
            self.words,
            embedding,
            lambda: Prediction(x_0, log_q),
            self.seeds,
        )
        out: list[list[float]] = []
        for group in self.owners:
            part = state.rows(group.rows)
            values = [guard.log_prob(part).tolist() for guard in group.guards]
            out += [list(sample) for sample in zip(*values, strict=True)] or [
                [] for _ in part.seeds
            ]
        return out

    def _texts(self, words: Tensor) -> list[str]:
        window = self._window(words).tolist()
        return [
            self.model.vocab.decode(_to_end(row[:n], self.model))
            for row, n in zip(window, self.words.tolist(), strict=True)
        ]
