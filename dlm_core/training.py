"""Training a Diffusion-LM: one loop for CPU, GPU and `accelerate launch`, resumable bit for bit.

Step k is a function of (weights, optimiser state, seed, k): batches, times, noise and dropout are
seeded by the step number, so a resumed run needs no random state of its own.
"""

from __future__ import annotations

import json
import os
import signal
import threading
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
from dlm_core.data import LengthBatches, collate, layout
from dlm_core.errors import MissingError, UsageError
from dlm_core.model import DiffusionLM
from dlm_core.noise import PerSampleNoise
from dlm_core.rollout import Rollout, draw_rollout
from dlm_core.sampling import ancestral
from dlm_core.vocab import Vocab

EVAL_TIMES = (0.05, 0.2, 0.4, 0.6, 0.8, 1.0)
_HISTORY = 10  # losses a time step remembers for importance sampling (Nichol & Dhariwal 2021, §3.3)


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


class LossAwareTimes:
    """p(t) proportional to sqrt(E[L_t^2]) (Nichol & Dhariwal 2021, eq. 18; paper App. B).

    Uniform until every time has `_HISTORY` losses, mixed with 0.1% uniform after. To fill the
    history soon, times share it in `bins` neighbourhoods.
    """

    def __init__(self, train_steps: int, bins: int = 100) -> None:
        self.train_steps = train_steps
        self.bins = min(bins, train_steps)
        self.history = torch.ones(self.bins, _HISTORY)
        self.counts = torch.zeros(self.bins, dtype=torch.int64)

    def _bin(self, k: Tensor) -> Tensor:
        return (k - 1) * self.bins // self.train_steps

    def probabilities(self) -> Tensor:
        """p over k = 1..T, (T,)."""
        if bool((self.counts < _HISTORY).any()):
            weight = torch.ones(self.bins)
        else:
            weight = self.history.square().mean(-1).sqrt()
            weight = 0.999 * weight / weight.sum() + 0.001 / self.bins
        p = weight[self._bin(torch.arange(1, self.train_steps + 1))]
        return p / p.sum()

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Steps k (count,) and importance weights 1 / (T p_k) (count,)."""
        p = self.probabilities()
        k = torch.multinomial(p, count, replacement=True, generator=generator) + 1
        return k, 1.0 / (self.train_steps * p[k - 1])

    def update(self, k: Tensor, losses: Tensor) -> None:
        """Remember one (unweighted) loss a sample."""
        for b, loss in zip(self._bin(k).tolist(), losses.tolist(), strict=True):
            self.history[b] = torch.cat([self.history[b][1:], torch.tensor([loss])])
            self.counts[b] += 1


def stratified_times(
    train_steps: int, count: int, generator: torch.Generator, power: float = 1.0
) -> Tensor:
    """Steps k in 1..T, k/T = u^power with one u from each of `count` equal strata of (0, 1).

    Power 1 is uniform; 1/2 gives t the density 2t: more training on high noise.
    """
    u = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    k = (u**power * train_steps).long() + 1
    return k[torch.randperm(count, generator=generator)].clamp(max=train_steps)


@dataclass
class _Parallel:
    """The process group of `accelerate launch`, or one process."""

    rank: int = 0
    world: int = 1
    accelerator: Any = None

    @classmethod
    def detect(cls, device: torch.device) -> _Parallel:
        if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
            return cls()
        from accelerate import Accelerator

        accelerator = Accelerator(cpu=device.type == "cpu")
        return cls(accelerator.process_index, accelerator.num_processes, accelerator)

    def wrap(self, model: nn.Module) -> nn.Module:
        if self.accelerator is None:
            return model
        return self.accelerator.prepare_model(model)  # type: ignore[no-any-return]

    def any(self, flag: bool) -> bool:
        """True on every process if it is on one, so that all stop at the same step."""
        if self.accelerator is None:
            return flag
        flags = self.accelerator.gather(torch.tensor([flag], device=self.accelerator.device))
        return bool(flags.any())

    def gather(self, x: Tensor, total: int) -> Tensor:
        """Rows of all ranks (rank r holds r::world of `total`), in their order."""
        if self.accelerator is None:
            return x
        size = -(-total // self.world)
        padded = torch.cat([x, x.new_zeros(size - len(x))])
        rows = self.accelerator.gather(padded).view(self.world, size)
        return rows.T.reshape(-1)[:total]  # type: ignore[no-any-return]


def resolve_precision(precision: str, device: torch.device | str) -> str:
    """`auto` as bf16 or fp32: without bf16 instructions a CPU is 100 times slower in it."""
    if precision != "auto":
        return precision
    if torch.device(device).type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    capabilities = torch.cpu.get_capabilities()
    return "bf16" if capabilities.get("avx512_bf16") or capabilities.get("bf16") else "fp32"


def make_optimizers(model: DiffusionLM, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """AdamW, or Muon on the matrices of the blocks beside AdamW on the rest."""
    blocks: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        is_matrix = ".blocks." in name and name.endswith("weight") and parameter.ndim == 2
        (blocks if is_matrix else rest).append(parameter)
    if config.optimizer == "adamw":
        rest, blocks = rest + blocks, []
    adamw = torch.optim.AdamW(
        rest, lr=config.lr, betas=(0.9, 0.98), weight_decay=config.weight_decay
    )
    if not blocks:
        return [adamw]
    muon = torch.optim.Muon(blocks, lr=config.muon_lr, weight_decay=config.weight_decay)
    return [adamw, muon]


def lr_factor(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then linear decay to `final_lr_fraction`."""
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    left = 1.0 - step / config.max_steps
    return warm * max(config.final_lr_fraction, left)


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
        self.parallel = _Parallel.detect(self.device)
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
        with _stop_signals() as stopped:
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


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event set by SIGINT or SIGTERM, so that the loop ends between two steps."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    old = {
        number: signal.signal(number, lambda *_: stopped.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stopped
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def plot_curves(out: Path) -> None:
    """Draw metrics.jsonl as curves.png (needs matplotlib; silently skipped without it)."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    train = [r for r in rows if "loss" in r]
    for name in ("mse", "anchor", "rounding"):
        left.plot([r["step"] for r in train], [r[name] for r in train], label=name, lw=0.8)
    left.set(title="training loss terms", xlabel="step", yscale="log")
    valid = [r for r in rows if "valid_anchor" in r]
    for time_ in EVAL_TIMES:
        key = f"valid_anchor_t{time_:g}"
        right.plot(
            [r["step"] for r in valid], [r[key] for r in valid], "o-", ms=2, label=f"t={time_:g}"
        )
    right.set(
        title="validation cross-entropy of x_0_hat (EMA)", xlabel="step", ylabel="nats a word"
    )
    left.legend()
    right.legend()
    figure.savefig(out / "curves.png", dpi=120)
