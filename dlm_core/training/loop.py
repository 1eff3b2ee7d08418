"""Training a Diffusion-LM: one loop for CPU, GPU and `accelerate launch`, resumable bit for bit.

Step k is a function of (weights, optimiser state, seed, k): batches, times, noise and dropout are
seeded by the step number, so a resumed run needs no random state of its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dlm_core.bundle import SAMPLING, Model, save_bundle
from dlm_core.config import TrainConfig
from dlm_core.diffusion.denoisers.bert import start_from_bert
from dlm_core.diffusion.model import DiffusionLM
from dlm_core.diffusion.rollout import Rollout
from dlm_core.errors import DLMError, UsageError
from dlm_core.sentences import count_sentences
from dlm_core.training import metrics
from dlm_core.training.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    Data,
    check_data,
    check_settings,
    only_run,
)
from dlm_core.training.curves import plot_curves
from dlm_core.training.data import LengthBatches, count_words, lay_out
from dlm_core.training.draws import Batch, draw_batch
from dlm_core.training.evaluation import evaluate, samples
from dlm_core.training.optimizers import lr_factor, make_optimizers
from dlm_core.training.parallel import Parallel, resolve_precision
from dlm_core.training.seeds import seeded
from dlm_core.training.signals import stop_signals
from dlm_core.training.start import start_from, start_from_fitting
from dlm_core.training.times import LossAwareTimes
from dlm_core.vocab import Vocab


@dataclass
class Callbacks:
    """What the loop reports; the CLI draws bars and prints with it."""

    on_step: Callable[[int, dict[str, float]], None] = lambda step, metrics: None
    on_eval: Callable[[int, dict[str, float], list[str]], None] = lambda step, metrics, texts: None
    on_note: Callable[[str], None] = lambda note: None


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
        names: what to call the texts in messages, train and valid.
        codes: how many codes the denoiser can be shown; 0 for one that is shown nothing.
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
        names: tuple[str, str] = ("the corpus", "the validation texts"),
        codes: int = 0,
    ) -> None:
        config = config.model_copy(
            update={"precision": resolve_precision(config.precision, device)}
        )
        self.config, self.vocab = config, vocab
        self.texts, self.out = train, out
        self.device = torch.device(device)
        self.parallel = Parallel.detect(self.device)
        self.corpus, self.held_out = Data.of(names[0], train), Data.of(names[1], valid)
        with seeded(config.seed):
            model = DiffusionLM(config.model, pad=vocab.pad, unk=vocab.unk, codes=codes)
        self.model = model.to(self.device)
        sequences = lay_out(train, names[0], config.model, vocab)
        counts = torch.tensor([count_words(s, config.model, vocab) for s in sequences])
        self.model.length_counts.copy_(
            torch.bincount(counts, minlength=config.model.max_len + 1).float()
        )
        self.batches = LengthBatches(sequences, config.batch_tokens, config.seed)
        self.valid = sorted(lay_out(valid, names[1], config.model, vocab), key=len)
        self.valid = self.valid[:: max(1, len(valid) // config.eval_examples)]
        self.times = LossAwareTimes(config.model.train_steps)
        self.optimizers = make_optimizers(self.model, config)
        self.ema = {k: v.detach().clone() for k, v in self.model.named_parameters()}
        self.step, self.seconds = 0, 0.0
        if compile:
            self.model.denoiser.compile(dynamic=True)
        self.wrapped = self.parallel.wrap(self.model)

    def start_from(self, model: Model, new_words: bool = False) -> str | None:
        """Begin with a trained bundle's weights instead of random ones.

        Args:
            model: the bundle.
            new_words: the words are this run's own; what fits of the weights is taken.

        Returns:
            with `new_words` how much that is, for people.

        Raises:
            UsageError: its shape or vocabulary is not this run's, or nothing fits.
        """
        told = None
        if new_words:
            told = start_from_fitting(self.model, self.vocab, model)
        else:
            start_from(self.model, self.vocab, model)
        self.ema = {k: v.detach().clone() for k, v in self.model.named_parameters()}
        return told

    def start_from_bert(self, checkpoint: str) -> None:
        """Begin with the encoder of a BERT (`Bert.start_from`), the rest random.

        Raises:
            UsageError: the denoiser is no BERT, or of another shape.
            MissingError: the checkpoint cannot be read.
        """
        start_from_bert(self.model.denoiser, checkpoint)
        self.ema = {k: v.detach().clone() for k, v in self.model.named_parameters()}

    # -- one step ---------------------------------------------------------------------------

    def train_step(self) -> dict[str, float]:
        """One optimiser step; returns the mean of each loss term over the batch."""
        config = self.config
        batch = self._draw()
        count = len(batch.tokens)
        mine = slice(self.parallel.rank, None, self.parallel.world)
        rollout = batch.rollout
        if rollout is not None:
            rollout = Rollout(*(draw[mine].to(self.device) for draw in rollout))
        shown = None if batch.shown is None else batch.shown.rows(mine).to(self.device)
        t = batch.k.float() / config.model.train_steps
        bf16 = config.precision == "bf16"
        with (
            seeded(config.seed * 1_000_003 + self.step, self.device),  # dropout
            torch.autocast(self.device.type, torch.bfloat16, enabled=bf16),
        ):
            total, terms = self.wrapped(
                batch.tokens[mine].to(self.device),
                batch.lengths[mine].to(self.device),
                t[mine].to(self.device),
                (batch.noise[0][mine].to(self.device), batch.noise[1][mine].to(self.device)),
                config.objective,
                config.weights,
                batch.self_condition,
                rollout,
                shown,
            )
        # Each process averages over the whole batch; DDP averages processes, hence `world`.
        loss = (total * batch.importance[mine].to(self.device)).sum() * self.parallel.world / count
        norm = self._descend(loss)
        losses = self.parallel.gather(total.detach(), count).cpu()
        if config.importance_sampling:
            self.times.update(batch.k, losses)
        self.step += 1
        metrics = {
            name: float(self.parallel.gather(value, count).mean()) for name, value in terms.items()
        }
        return metrics | {"loss": float((losses * batch.importance).mean()), "grad_norm": norm}

    def _draw(self) -> Batch:
        """What the next step sees."""
        sequences, words = self.batches[self.step], self.model.embedding_matrix
        return draw_batch(sequences, self.step, self.config, self.times, words, self.vocab.pad)

    def _descend(self, loss: Tensor) -> float:
        """One step of the optimisers and of the average; returns the gradient's norm."""
        config = self.config
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm)
        factor = lr_factor(self.step, config)
        for optimizer in self.optimizers:
            base = config.muon_lr if isinstance(optimizer, torch.optim.Muon) else config.lr
            for group in optimizer.param_groups:
                group["lr"] = base * factor
            optimizer.step()
        self._update_ema()
        return float(norm)

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

    def evaluate(self) -> dict[str, float]:
        """Loss terms on the fixed validation set at fixed times, with the same noise each time."""
        return evaluate(self.model, self.valid, self.config, self.vocab.pad, self.device)

    def samples(self, count: int = 4) -> list[str]:
        """Unconditional texts, always from the same seeds."""
        return samples(self.model, self.vocab, self.config.sample_steps, self.device, count)

    # -- the run ----------------------------------------------------------------------------

    def run(self, callbacks: Callbacks | None = None, stop_after: int | None = None) -> TrainResult:
        """Train until `max_steps`, `stop_after`, SIGINT or SIGTERM; a checkpoint is always left.

        Raises:
            DLMError: a loss is not finite, the disk is full, or another run writes into `out`; the
                last checkpoint is whole.
        """
        callbacks = callbacks or Callbacks()
        if self.parallel.rank != 0:
            return self._run(callbacks, stop_after)
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DLMError(f"cannot write into {self.out}: {error.strerror or error}") from error
        with only_run(self.out):
            if self.step == 0:  # what another run reported is not this one's
                for name in ("metrics.jsonl", "curves.png"):
                    (self.out / name).unlink(missing_ok=True)
            elif told := metrics.go_back(self.out / "metrics.jsonl", self.step):
                callbacks.on_note(told)
            return self._run(callbacks, stop_after)

    def _run(self, callbacks: Callbacks, stop_after: int | None) -> TrainResult:
        config = self.config
        goal = config.max_steps if stop_after is None else min(stop_after, config.max_steps)
        main = self.parallel.rank == 0
        evaluation: dict[str, float] = {}
        saved = 0
        self.model.train()
        with stop_signals() as stopped:
            while self.step < goal and not self.parallel.any(stopped.is_set()):
                started = time.monotonic()
                losses = self.train_step()
                self.seconds += time.monotonic() - started
                self._check_finite(losses)
                if not main:
                    continue
                callbacks.on_step(self.step, losses)
                if self.step % 20 == 0 or self.step == 1:
                    self._log({"step": self.step, "seconds": round(self.seconds, 1), **losses})
                if self.step % config.save_every == 0:
                    self.save()
                    saved = self.step
                if self.step % config.eval_every == 0 or self.step == config.max_steps:
                    evaluation = self._report(callbacks)
        if main:
            if self.step != saved:
                self.save()
            if self.step == config.max_steps:
                self.export()
        return TrainResult(self.step, self.step == config.max_steps, self.out, evaluation)

    def _report(self, callbacks: Callbacks) -> dict[str, float]:
        """Evaluate, and show what the texts look like."""
        with self.ema_weights():
            evaluation = self.evaluate()
            texts = self.samples()
        self._check_finite(evaluation)
        self._log({"step": self.step, **evaluation, "samples": texts})
        callbacks.on_eval(self.step, evaluation, texts)
        if told := plot_curves(self.out):
            callbacks.on_note(told)
        return evaluation

    def _check_finite(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                raise self._diverged(f"'{name}' is {value} at step {self.step}")

    def _diverged(self, what: str) -> DLMError:
        kept = "no checkpoint was left yet"
        if self.checkpoint_path.is_file():
            kept = f"the checkpoint of step {Checkpoint.read(self.checkpoint_path).step} is kept"
        return DLMError(
            f"training diverged: {what}; {kept}",
            f"start anew with a lower 'lr' (now {self.config.lr:g}) or more 'warmup_steps' in "
            "--config: --force, or another --out",
        )

    def _log(self, row: dict[str, Any]) -> None:
        metrics.append(self.out / "metrics.jsonl", row)

    # -- checkpoints ------------------------------------------------------------------------

    @property
    def checkpoint_path(self) -> Path:
        """File of the one checkpoint a run keeps."""
        return self.out / CHECKPOINT

    def save(self) -> None:
        """Write the checkpoint; the old one stays whole until the new one is.

        Raises:
            DLMError: a weight is not finite, or the disk is full.
        """
        state = self.model.state_dict()
        for name, tensor in (*state.items(), *self.ema.items()):
            if not bool(torch.isfinite(tensor).all()):
                raise self._diverged(f"weights of '{name}' are not finite at step {self.step}")
        Checkpoint(
            step=self.step,
            seconds=self.seconds,
            config=self.config.model_dump(mode="json"),
            vocab=self.vocab.tokenizer.to_str(),
            corpus=asdict(self.corpus),
            valid=asdict(self.held_out),
            model={k: v.detach() for k, v in state.items()},
            ema=self.ema,
            optimizers=[o.state_dict() for o in self.optimizers],
            history=self.times.history,
            counts=self.times.counts,
        ).write(self.checkpoint_path)

    def resume(self, new_data: bool = False) -> list[str]:
        """Continue from the checkpoint in `out`.

        Args:
            new_data: other texts than the checkpoint's are taken; their words are its words.

        Returns:
            what is not as it was, for the person: more steps, other texts.

        Raises:
            MissingError: no checkpoint there, or a broken one.
            UsageError: it was made with other settings, words or texts.
        """
        saved = Checkpoint.read(self.checkpoint_path)
        if saved.vocabulary.words != self.vocab.words:
            raise UsageError(
                "--resume: the words are not the checkpoint's", "take them from its `vocabulary`"
            )
        told = [check_data(saved.corpus, self.corpus, new_data)]
        told.append(check_data(saved.valid, self.held_out, new_data))
        told.append(check_settings(saved, self.config))
        counts = self.model.length_counts.clone()
        self.model.load_state_dict(saved.model)
        self.model.length_counts.copy_(counts)
        self.ema = {k: v.to(self.device) for k, v in saved.ema.items()}
        for optimizer, state in zip(self.optimizers, saved.optimizers, strict=True):
            optimizer.load_state_dict(state)
        self.times.history, self.times.counts = saved.history, saved.counts
        self.step, self.seconds = saved.step, saved.seconds
        return [note for note in told if note]

    def export(self) -> None:
        """Write the bundle with the averaged weights into `out`."""
        counts = count_sentences(self.texts, self.vocab, self.config.model.max_len)
        settings = {**counts, "train": self.config.model_dump(mode="json")}
        (self.out / SAMPLING).unlink(missing_ok=True)  # of the net that was there
        with self.ema_weights():
            save_bundle(self.out, self.model, self.vocab, settings, self.config.bits)


def _assign(model: nn.Module, values: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(values[name])
