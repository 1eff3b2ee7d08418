"""Training a Diffusion-LM: one loop for CPU, GPU and `accelerate launch`, resumable bit for bit.

Step k is a function of (weights, optimiser state, seed, k): batches, times, noise and dropout are
seeded by the step number, so a resumed run needs no random state of its own.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dlm_core.bundle import Model, save_bundle
from dlm_core.config import TrainConfig
from dlm_core.diffusion.model import DiffusionLM
from dlm_core.diffusion.noise import PerSampleNoise
from dlm_core.diffusion.rollout import Rollout, draw_rollout
from dlm_core.diffusion.samplers import ancestral
from dlm_core.errors import MissingError, UsageError
from dlm_core.training.curves import EVAL_TIMES, plot_curves
from dlm_core.training.data import LengthBatches, collate, layout
from dlm_core.training.optimizers import lr_factor, make_optimizers
from dlm_core.training.parallel import Parallel, resolve_precision
from dlm_core.training.signals import stop_signals
from dlm_core.training.times import LossAwareTimes, stratified_times
from dlm_core.vocab import Vocab


@dataclass
class Callbacks:
    """What the loop reports; the CLI draws bars and prints with it."""

    on_step: Callable[[int, dict[str, float]], None] = lambda step, metrics: None
    on_eval: Callable[[int, dict[str, float], list[str]], None] = lambda step, metrics, texts: None


@dataclass
class TrainResult:
    """Where the run stands when `train` returns."""

    step: int
    finished: bool
    out: Path
    metrics: dict[str, float] = field(default_factory=dict)


class Trainer:
    """State of one training run; `run()` goes until the end, a signal or `stop_after`.

    Args:
        config: resolved settings; `config.model.vocab_size` must be `len(vocab)`.
        vocab: the vocabulary.
        train, valid: texts.
        out: folder of checkpoints, metrics.jsonl, curves.png and, at the end, the bundle.
        device: where to compute.
        compile: use torch.compile on the denoiser.
    """

    def __init__(
        self,
        config: TrainConfig,
        vocab: Vocab,
        train: Sequence[str],
        valid: Sequence[str],
        out: Path,
        device: torch.device | str = "cpu",
        compile: bool = False,
    ) -> None:
        config = config.model_copy(
            update={"precision": resolve_precision(config.precision, device)}
        )
        self.config = config
        self.vocab = vocab
        self.out = out
        self.device = torch.device(device)
        self.parallel = Parallel.detect(self.device)
        torch.manual_seed(config.seed)
        self.model = DiffusionLM(config.model, pad=vocab.pad, unk=vocab.unk).to(self.device)
        sequences = _sequences(train, config, vocab)
        counts = torch.tensor([_count_words(s, config, vocab) for s in sequences])
        self.model.length_counts.copy_(
            torch.bincount(counts, minlength=config.model.max_len + 1).float()
        )
        self.batches = LengthBatches(sequences, config.batch_tokens, config.seed)
        self.valid = sorted(_sequences(valid, config, vocab), key=len)[:: _stride(valid, config)]
        self.times = LossAwareTimes(config.model.train_steps)
        self.optimizers = make_optimizers(self.model, config)
        self.ema = {k: v.detach().clone() for k, v in self.model.named_parameters()}
        self.step = 0
        self.seconds = 0.0
        if compile:
            self.model.denoiser.compile(dynamic=True)
        self.wrapped = self.parallel.wrap(self.model)

    def start_from(self, model: Model) -> None:
        """Begin with a trained bundle's weights instead of random ones.

        Raises:
            UsageError: its shape or vocabulary is not this run's.
        """
        ours, theirs = self.config.model.model_dump(), model.info.config.model_dump()
        for key in ours:
            if ours[key] != theirs[key] and key not in ("learned_embedding", "dropout"):
                raise UsageError(
                    f"--init: '{key}' of the model is {theirs[key]!r}, this run's is {ours[key]!r}",
                    "set it in the [model] table of --config",
                )
        if model.vocab.plain_words != self.vocab.plain_words:
            raise UsageError("--init: the model's vocabulary is not this corpus's")
        counts = self.model.length_counts.clone()
        self.model.load_state_dict(model.net.state_dict())
        self.model.length_counts.copy_(counts)
        self.ema = {k: v.detach().clone() for k, v in self.model.named_parameters()}

    # -- one step ---------------------------------------------------------------------------

    def train_step(self) -> dict[str, float]:
        """One optimiser step; returns the mean of each loss term over the batch."""
        config = self.config
        generator = _step_generator(config.seed, self.step)
        sequences = self.batches[self.step]
        count = len(sequences)
        tokens, lengths = collate(sequences, self.vocab.pad)
        shape = (*tokens.shape, config.model.embedding_dim)
        noise = (torch.randn(shape, generator=generator), torch.randn(shape, generator=generator))
        if config.importance_sampling:
            k, importance = self.times.sample(count, generator)
        else:
            k = stratified_times(config.model.train_steps, count, generator, config.time_power)
            importance = torch.ones(count)
        self_condition = config.model.self_conditioning and bool(
            torch.rand((), generator=generator) < config.self_conditioning_rate
        )
        rollout = None
        if self_condition and bool(torch.rand((), generator=generator) < config.rollout_rate):
            words = self.model.embedding_matrix
            rollout = draw_rollout(words, count, tokens.shape[1], config, generator)
        torch.manual_seed(config.seed * 1_000_003 + self.step)  # dropout
        mine = slice(self.parallel.rank, None, self.parallel.world)
        if rollout is not None:
            rollout = Rollout(*(draw[mine].to(self.device) for draw in rollout))
        t = k.float() / config.model.train_steps
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            total, terms = self.wrapped(
                tokens[mine].to(self.device),
                lengths[mine].to(self.device),
                t[mine].to(self.device),
                (noise[0][mine].to(self.device), noise[1][mine].to(self.device)),
                config.objective,
                config.weights,
                self_condition,
                rollout,
            )
        # Each process averages over the whole batch; DDP averages processes, hence `world`.
        loss = (total * importance[mine].to(self.device)).sum() * self.parallel.world / count
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm)
        factor = lr_factor(self.step, config)
        for optimizer in self.optimizers:
            base = config.muon_lr if isinstance(optimizer, torch.optim.Muon) else config.lr
            for group in optimizer.param_groups:
                group["lr"] = base * factor
            optimizer.step()
        self._update_ema()
        if config.importance_sampling:
            self.times.update(k, self.parallel.gather(total.detach(), count).cpu())
        self.step += 1
        metrics = {
            name: float(self.parallel.gather(value, count).mean()) for name, value in terms.items()
        }
        metrics["loss"] = float(
            (self.parallel.gather(total.detach(), count).cpu() * importance).mean()
        )
        metrics["grad_norm"] = float(norm)
        return metrics

    def _update_ema(self) -> None:
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))  # quick at the start
        names, parameters = zip(*self.model.named_parameters(), strict=True)
        with torch.no_grad():
            torch._foreach_lerp_([self.ema[n] for n in names], parameters, 1 - decay)

    # -- evaluation -------------------------------------------------------------------------

    @contextmanager
    def ema_weights(self) -> Iterator[None]:
        """Swap the averaged weights in."""
        backup = {k: v.detach().clone() for k, v in self.model.named_parameters()}
        _assign(self.model, self.ema)
        self.model.eval()
        try:
            yield
        finally:
            _assign(self.model, backup)
            self.model.train()

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Loss terms on the fixed validation set at fixed times, with the same noise each time."""
        config = self.config
        sums: dict[str, float] = {}
        batches = 0
        for start in range(0, len(self.valid), 64):
            tokens, lengths = collate(self.valid[start : start + 64], self.vocab.pad)
            tokens, lengths = tokens.to(self.device), lengths.to(self.device)
            seeds = range(start, start + len(tokens))
            shape = (config.model.max_len, config.model.embedding_dim)
            noise = PerSampleNoise(seeds, "eval", self.device)
            first, second = (noise.normal(*shape)[:, : tokens.shape[1]] for _ in range(2))
            batches += len(tokens)
            for time_ in EVAL_TIMES:
                t = torch.full((len(tokens),), time_, device=self.device)
                with torch.autocast(
                    self.device.type, torch.bfloat16, enabled=config.precision == "bf16"
                ):
                    losses = self.model.losses(
                        tokens,
                        lengths,
                        t,
                        (first, second),
                        self_condition=config.model.self_conditioning,
                    )
                for name in ("mse", "anchor"):
                    key = f"valid_{name}_t{time_:g}"
                    sums[key] = sums.get(key, 0.0) + float(getattr(losses, name).sum())
        result = {key: value / batches for key, value in sums.items()}
        for name in ("mse", "anchor"):
            values = [v for k, v in result.items() if k.startswith(f"valid_{name}_")]
            result[f"valid_{name}"] = sum(values) / len(values)
        return result

    @torch.no_grad()
    def samples(self, count: int = 4) -> list[str]:
        """Unconditional texts, always from the same seeds."""
        model, config = self.model, self.config.model
        noise = PerSampleNoise(range(count), device=self.device)
        lengths = torch.full((count,), config.max_len, device=self.device)
        if config.length_mode == "prior":
            lengths = torch.multinomial(
                model.length_counts.cpu(), count, generator=_step_generator(0, 0)
            ).to(self.device)
        width = int(lengths.max())
        previous: Tensor | None = None

        def randn() -> Tensor:
            return noise.normal(config.max_len, config.embedding_dim)[:, :width]

        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            nonlocal previous
            predicted = model.predict(x_t, t, lengths, previous)
            previous = predicted.x_0_hat
            return model.embed(predicted.token_log_probs.argmax(-1))

        times = model.schedule.timesteps(self.config.sample_steps)
        x_0 = ancestral(denoise, randn(), times, model.schedule, randn)
        words = model.nearest_word(x_0)
        return [
            self.vocab.decode(row[:n])
            for row, n in zip(words.tolist(), lengths.tolist(), strict=True)
        ]

    # -- the run ----------------------------------------------------------------------------

    def run(self, callbacks: Callbacks | None = None, stop_after: int | None = None) -> TrainResult:
        """Train until `max_steps`, `stop_after`, SIGINT or SIGTERM; a checkpoint is always left."""
        callbacks = callbacks or Callbacks()
        config = self.config
        goal = config.max_steps if stop_after is None else min(stop_after, config.max_steps)
        main = self.parallel.rank == 0
        self.out.mkdir(parents=True, exist_ok=True)
        evaluation: dict[str, float] = {}
        self.model.train()
        with stop_signals() as stopped:
            while self.step < goal and not self.parallel.any(stopped.is_set()):
                started = time.monotonic()
                metrics = self.train_step()
                self.seconds += time.monotonic() - started
                if not main:
                    continue
                callbacks.on_step(self.step, metrics)
                if self.step % 20 == 0 or self.step == 1:
                    self._log({"step": self.step, "seconds": round(self.seconds, 1), **metrics})
                if self.step % config.eval_every == 0 or self.step == config.max_steps:
                    with self.ema_weights():
                        evaluation = self.evaluate()
                        texts = self.samples()
                    self._log({"step": self.step, **evaluation, "samples": texts})
                    callbacks.on_eval(self.step, evaluation, texts)
                    plot_curves(self.out)
                if self.step % config.save_every == 0:
                    self.save()
        if main:
            self.save()
            if self.step == config.max_steps:
                self.export()
        return TrainResult(self.step, self.step == config.max_steps, self.out, evaluation)

    def _log(self, row: dict[str, Any]) -> None:
        with (self.out / "metrics.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")

    # -- checkpoints ------------------------------------------------------------------------

    @property
    def checkpoint_path(self) -> Path:
        """Folder of the one checkpoint a run keeps."""
        return self.out / "checkpoint"

    def save(self) -> None:
        """Write the checkpoint; the old one stays whole until the new one is."""
        path = self.checkpoint_path
        path.mkdir(parents=True, exist_ok=True)
        save_file(
            {k: v.detach().contiguous() for k, v in self.model.state_dict().items()},
            path / "model.new",
        )
        save_file({k: v.contiguous() for k, v in self.ema.items()}, path / "ema.new")
        torch.save(
            {
                "step": self.step,
                "seconds": self.seconds,
                "optimizers": [o.state_dict() for o in self.optimizers],
                "history": self.times.history,
                "counts": self.times.counts,
                "config": self.config.model_dump_json(),
            },
            path / "state.new",
        )
        for name in ("model", "ema", "state"):
            os.replace(path / f"{name}.new", path / f"{name}.ckpt")

    def resume(self) -> None:
        """Continue from the checkpoint in `out`.

        Raises:
            MissingError: no checkpoint there, or a broken one.
            UsageError: it was made with other settings.
        """
        path = self.checkpoint_path
        try:
            state = torch.load(path / "state.ckpt", weights_only=True)
            weights = load_file(path / "model.ckpt")
            ema = load_file(path / "ema.ckpt")
        except FileNotFoundError as error:
            raise MissingError(
                f"no checkpoint in {self.out}", "leave --resume out to start anew"
            ) from error
        except Exception as error:
            raise MissingError(f"the checkpoint in {path} is broken: {error}") from error
        saved = json.loads(state["config"])
        for key, value in self.config.model_dump(mode="json").items():
            if saved.get(key) != value:
                raise UsageError(
                    f"--resume: '{key}' is {value!r} now, the checkpoint has {saved.get(key)!r}",
                    "use the checkpoint's settings, or another --out",
                )
        self.model.load_state_dict(weights)
        self.ema = {k: v.to(self.device) for k, v in ema.items()}
        for optimizer, optimizer_state in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(optimizer_state)
        self.times.history, self.times.counts = state["history"], state["counts"]
        self.step, self.seconds = state["step"], state["seconds"]

    def export(self) -> None:
        """Write the bundle with the averaged weights into `out`."""
        with self.ema_weights():
            save_bundle(
                self.out, self.model, self.vocab, {"train": self.config.model_dump(mode="json")}
            )


def _sequences(texts: Sequence[str], config: TrainConfig, vocab: Vocab) -> list[list[int]]:
    laid_out = (layout(ids, config.model, vocab) for ids in vocab.encode_batch(texts))
    kept = [s for s in laid_out if s is not None]
    if not kept:
        raise UsageError("the corpus has no text that fits the model's max_len")
    return kept


def _count_words(sequence: list[int], config: TrainConfig, vocab: Vocab) -> int:
    """Words of a laid-out text, START, END and PAD left out."""
    return len(sequence) if config.model.length_mode == "prior" else sequence.index(vocab.end) - 1


def _stride(texts: Sequence[str], config: TrainConfig) -> int:
    return max(1, len(texts) // config.eval_examples)


def _step_generator(seed: int, step: int) -> torch.Generator:
    return torch.Generator().manual_seed((seed * 1_000_003 + step) * 2 + 1)


def _assign(model: nn.Module, values: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(values[name])
