"""One batch on its way from x_T to x_0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dlm_core.bundle import Model
from dlm_core.config import (
    GUIDED_TEMPERATURE,
    GuidanceConfig,
    SamplingConfig,
)
from dlm_core.control.state import LOG_FLOOR, State
from dlm_core.diffusion.denoisers.shown import ShownIds
from dlm_core.diffusion.likelihood import nats_a_word
from dlm_core.diffusion.noise import PerSampleNoise
from dlm_core.diffusion.prediction import Prediction
from dlm_core.diffusion.rounding import pick_words
from dlm_core.diffusion.samplers import Progress, ddim, dpmpp_2m
from dlm_core.generation.prepare import Prepared
from dlm_core.generation.writer import Writer, shown_by
from dlm_core.guidance.guard import GuidedRows
from dlm_core.guidance.hard import fixed_words, round_words
from dlm_core.guidance.paper import guide as climb
from dlm_core.guidance.posterior import tilt
from dlm_core.results import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    StepCallback = Callable[[list[Step]], None]
    """What each text is after a step."""


class Sample(NamedTuple):
    """One text to make."""

    owner: int
    seed: int
    words: int
    """Positions: as many as it has words and pieces."""
    free: bool = False
    """START, END and PAD are words like others, and the text ends where END falls."""


def to_end(ids: list[int], model: Model) -> list[int]:
    """The ids before the first END."""
    return ids[: ids.index(model.vocab.end)] if model.vocab.end in ids else ids


def _is_bf16(precision: str, device: torch.device) -> bool:
    """Texts made on a CPU are the same on any, so that `auto` leaves it what it always was."""
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    return precision == "bf16"


class Walk:
    """One batch on its way from x_T to x_0.

    The canvas is what the denoiser sees: the words alone (`prior`), or START, words, END, PAD...
    (`padded`). Controls always see the words alone.
    """

    def __init__(
        self,
        model: Model,
        prepared: Sequence[Prepared],
        batch: Sequence[Sample],
        sampling: SamplingConfig,
        guidance: GuidanceConfig,
        on_step: StepCallback | None,
        stream: str = "sampler",
        traced: bool = False,
    ) -> None:
        self.model, self.net = model, model.net
        self.sampling, self.guidance = sampling, guidance
        self.on_step, self.traced = on_step, traced
        self.trace: list[list[Step]] = []
        device = model.device
        self.seeds = tuple(s.seed for s in batch)
        self.words = torch.tensor([s.words for s in batch], device=device)  # (B,)
        self.noise = PerSampleNoise(self.seeds, stream, device)
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
        if model.vocab.pieces:
            self.allowed = self._spelled([prepared[s.owner].whole for s in batch])
        writers = (prepared[s.owner].writer for s in batch)
        self.writer = next((writer for writer in writers if writer is not None), None)
        self.written = torch.tensor([prepared[s.owner].writer is not None for s in batch])
        self.shown = None if self.writer is None else self._shown(prepared, batch, self.writer)
        self.previous: Tensor | None = None
        self.temperature = self._temperature()
        own = model.info.sampling.evidence
        self.evidence = own if sampling.evidence is None else sampling.evidence
        self.bf16 = _is_bf16(sampling.precision, device)

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
        plain = torch.ones(len(vocab), dtype=torch.bool, device=self.model.device)
        plain[[vocab.unk, vocab.start, vocab.end, vocab.pad]] = False
        inner = fixed_words(self.groups, self.words, self.longest, plain, vocab.unk)
        window = fixed[:, self.offset : self.offset + self.longest]
        fixed[:, self.offset : self.offset + self.longest] = torch.where(inner >= 0, inner, window)
        return allowed, fixed

    def _spelled(self, whole: Sequence[bool]) -> Tensor:
        """What may be produced at each place, (B, width, V): no text begins with what goes on."""
        vocab = self.model.vocab
        allowed = self.allowed.repeat(1, self.width, 1)
        allowed[:, self.offset, list(map(vocab.goes_on, range(len(vocab))))] = False
        for row, alone in zip(allowed, whole, strict=True):
            row[:, vocab.piece_ids.start :] &= not alone
        return allowed

    def _temperature(self) -> Tensor:
        """Of each text's words, (B, 1, 1)."""
        shape = (len(self.words), 1, 1)
        if self.sampling.temperature is not None:
            return torch.full(shape, self.sampling.temperature, device=self.words.device)
        free = self.model.info.sampling.free_temperature
        out = torch.full(shape, free, device=self.words.device)
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

    def _shown(
        self, prepared: Sequence[Prepared], batch: Sequence[Sample], writer: Writer
    ) -> ShownIds:
        """What the controls of each text, and the words that are known, show the writer."""
        rows = [
            (shown_by(prepared[s.owner].request.controls, s.words, writer), known[: s.words])
            for s, known in zip(batch, self._window(self.fixed).tolist(), strict=True)
        ]
        return writer.collate(rows, self.width, self.offset)

    def _ask(self, x_t: Tensor, t: Tensor) -> Prediction:
        """x_0_hat by the net that writes each text: the writer, or the model's own denoiser."""
        if self.writer is None:
            return self.net.predict(x_t, t, self.lengths, self.previous, None, self.evidence)
        if bool(self.written.all()):
            return self.writer.net.predict(
                x_t, t, self.lengths, self.previous, self.shown, self.evidence
            )
        order, found = [], []
        for written in (True, False):
            rows = (self.written == written).nonzero()[:, 0].to(x_t.device)
            previous = None if self.previous is None else self.previous[rows]
            net = self.writer.net if written else self.net
            shown = self.shown.rows(rows) if written and self.shown is not None else None
            lengths = self.lengths[rows]
            found.append(net.predict(x_t[rows], t[rows], lengths, previous, shown, self.evidence))
            order.append(rows)
        back = torch.cat(order).argsort()
        return Prediction(
            torch.cat([one.x_0_hat for one in found])[back],
            torch.cat([one.token_log_probs for one in found])[back],
        )

    def _predict(self, x_t: Tensor, t: Tensor) -> Prediction:
        """`_ask`, with forbidden words out and fixed words in."""
        with torch.autocast(x_t.device.type, torch.bfloat16, enabled=self.bf16):
            predicted = self._ask(x_t, t)
        log_q = predicted.token_log_probs.float().masked_fill(~self.allowed, -torch.inf)
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
        if self.sampling.self_conditioning:
            sharp = F.softmax(log_q / self.sampling.self_conditioning_temperature, dim=-1)
            self.previous = sharp @ self.net.embedding_matrix
        if self.traced or self.on_step is not None:
            steps = self._steps(float(t[0]))
            if self.traced:
                self.trace.append(steps)
            if self.on_step is not None:
                self.on_step(steps)
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
        return climb(
            x_s,
            mean,
            var,
            lambda x: self._state(x, s, lambda: self._predict(x, s)),
            self.groups,
            self.guidance,
        )

    @torch.no_grad()
    def run(
        self, progress: Progress | None = None, start: tuple[Tensor, float] | None = None
    ) -> Tensor:
        """Word ids (B, longest) of the finished texts.

        Args:
            progress: called after each step.
            start: words (B, longest) to noise and the time to begin at, instead of pure noise.
        """
        sampling, schedule = self.sampling, self.net.schedule
        times = schedule.timesteps(sampling.steps, sampling.spacing, sampling.time_power)
        x = self._randn()
        if start is not None:
            canvas = self.fixed.clamp(min=0)
            self._window(canvas)[:] = start[0]
            times = times[times <= start[1]]
            t = times[:1].to(x).expand(len(x))
            x = schedule.q_sample(self.net.embed(canvas), t, x)
        guide = self._guide if self.guidance.mode != "posterior" and self.groups else None
        if sampling.sampler == "dpmpp_2m":
            dpmpp_2m(self._denoise, x, times, schedule, guide, progress)
        else:
            eta = 1.0 if sampling.sampler == "ancestral" else sampling.eta
            ddim(self._denoise, x, times, schedule, self._randn, eta, guide, progress)
        self.drafts = (self._texts(self.unguided.argmax(-1)), self._texts(self.log_q.argmax(-1)))
        # rounding: argmax p(w | x_0) (§4.2), among the texts that hard constraints admit
        known = (self.fixed >= 0)[..., None]
        held = known & F.one_hot(self.fixed.clamp(min=0), self.log_q.shape[-1]).bool()
        log_q = self.log_q.masked_fill(torch.where(known, ~held, ~self.allowed), -torch.inf)
        return round_words(self._window(log_q), self.groups, self.words)

    def nats(self, words: Tensor) -> list[float]:
        """Nats a word of each text, by the net that wrote it."""
        canvas = self.fixed.clamp(min=0)
        self._window(canvas)[:] = words
        place = torch.arange(self.width, device=words.device) - self.offset
        counted = (place >= 0) & (place < self.words[:, None])
        noise = PerSampleNoise(self.seeds, "likelihood", self.model.device)
        self.previous = None

        def ask(x_t: Tensor, t: Tensor) -> Tensor:
            return self._predict(x_t, t).token_log_probs

        found: list[float] = nats_a_word(self.net, ask, canvas, counted, noise).tolist()
        return found

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

    def _steps(self, t: float) -> list[Step]:
        """Each text as it stands, and what stood there without the controls."""
        log_probs, words = self._window(self.log_q).max(-1)  # (B, L)
        own = self._window(self.unguided).argmax(-1)
        rows = zip(words.tolist(), log_probs.exp().tolist(), own.tolist(), strict=True)
        vocab, found = self.model.vocab, []
        for (ids, probs, alone), n in zip(rows, self.words.tolist(), strict=True):
            placed = vocab.placed(to_end(ids[:n], self.model))
            found.append(
                Step(
                    t,
                    tuple(word for word, _ in placed),
                    tuple(min(probs[k] for k in places) for _, places in placed),
                    tuple(vocab.decode(alone[k] for k in places) for _, places in placed),
                )
            )
        return found

    def _texts(self, words: Tensor) -> list[str]:
        window = self._window(words).tolist()
        return [
            self.model.vocab.decode(to_end(row[:n], self.model))
            for row, n in zip(window, self.words.tolist(), strict=True)
        ]
