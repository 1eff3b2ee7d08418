"""Trains a teacher: transformers' GPT-2 from scratch on a corpus."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

import torch
from pydantic import Field, model_validator

from dlm_core.config import AS_THEY_ARE, Settings, TextConfig
from dlm_core.errors import UsageError
from dlm_core.evaluation.teacher import Score, Teacher, encode, token_losses
from dlm_core.files import write_json, writing
from dlm_core.training.data import LengthBatches
from dlm_core.training.seeds import seeded
from dlm_core.training.signals import stop_signals
from dlm_core.training.told import Told
from dlm_core.vocab import Vocab

PATIENCE = 2
"""Epochs without gain before training stops."""


class TeacherConfig(Settings):
    """Shape of a teacher and how it is trained; the defaults suit E2E on one CPU core."""

    epochs: float = Field(default=5.0, gt=0)
    """Passes over the corpus."""
    steps: int | None = Field(default=None, gt=0)
    """Optimizer steps; overrides `epochs`."""
    layers: int = Field(default=4, gt=0)
    width: int = Field(default=192, gt=0)
    heads: int = Field(default=4, gt=0)
    positions: int = Field(default=128, gt=2)
    """Longest START words END."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    lr: float = Field(default=1e-3, gt=0)
    """At its peak."""
    batch_tokens: int = Field(default=2000, gt=0)
    min_count: int = Field(default=10, ge=0)
    """Words are kept that occur more often."""
    max_words: int | None = Field(default=None, gt=0)
    """The most frequent of them only."""
    pieces: int = Field(default=0, ge=0)
    """How many pieces there are to spell other words with; 0 leaves these UNK."""
    seed: int = 0
    """Of weights, order and dropout."""
    text: TextConfig = AS_THEY_ARE
    """How its texts were prepared."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width={self.width} is not a multiple of heads={self.heads}")
        return self


@dataclass
class _Best:
    """The best validation score so far, and how many looks ago."""

    score: Score | None = None
    since: int = 0

    def better(self, score: Score) -> bool:
        self.since += 1
        if self.score is not None and score.token_nll >= self.score.token_nll:
            return False
        self.score, self.since = score, 0
        return True


@dataclass
class _Run:
    config: TeacherConfig
    sequences: Sequence[Sequence[int]]
    vocab: Vocab
    device: str
    checkpoint: Path | None = None
    done: int = 0
    best: _Best = field(default_factory=_Best)
    began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        config = self.config
        self.batches = LengthBatches(self.sequences, config.batch_tokens, config.seed)
        epoch = self.batches.batches_per_epoch
        self.steps = config.steps or math.ceil(config.epochs * epoch)
        self.teacher = Teacher(_gpt2(config, self.vocab).to(self.device), self.vocab)  # type: ignore[arg-type]
        parameters = list(self.teacher.model.parameters())
        self.parameters = sum(p.numel() for p in parameters)
        self.optimizer = torch.optim.AdamW(parameters, lr=self.config.lr, weight_decay=0.01)

    def losses(self) -> Iterator[float]:
        """Train from where it is, and give the loss of each step."""
        model, optimizer = self.teacher.model, self.optimizer
        warmup = min(200, max(1, self.steps // 10))
        while self.done < self.steps and self.best.since < PATIENCE:
            step = self.done
            model.train()
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, self.steps, self.config.lr, warmup)
            losses, lengths = token_losses(model, self.batches[step], self.vocab.pad)
            loss = losses.sum() / (int(lengths.sum()) - len(lengths))
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            self.done += 1
            yield float(loss.detach())

    def run(self, out: Path, valid: Sequence[str], told: Told) -> Score:
        """Train, keeping the weights of the best look at `valid`; returns that.

        Raises:
            KeyboardInterrupt: there is a checkpoint to be left, and a signal came.
        """
        with stop_signals() if self.checkpoint else nullcontext() as stopped:
            for loss in self.losses():
                told.step(self.done, self.steps, f"nll={loss:.3f}")
                if not self.done % self.batches.batches_per_epoch or self.done == self.steps:
                    score = self.teacher.summary(valid)
                    told.line(f"step {self.done}: validation {score.token_nll:.4f} nats a token")
                    if self.best.better(score):
                        self.save(out, self.done, score)
                    self.keep()
                if stopped is not None and stopped.is_set():
                    self.keep()
                    raise KeyboardInterrupt
        assert self.best.score is not None
        return self.best.score

    def keep(self) -> None:
        """Write the checkpoint: all that goes on from step to step."""
        if self.checkpoint is None:
            return
        cuda = torch.cuda.get_rng_state(self.device) if self.device.startswith("cuda") else None
        state = {
            "done": self.done,
            "best": self.best.score and asdict(self.best.score),
            "since": self.best.since,
            "model": self.teacher.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),  # dropout's
            "cuda": cuda,
        }
        with writing(self.checkpoint) as new:
            torch.save(state, new)

    def go_on(self) -> bool:
        """Continue from the checkpoint, if there is one."""
        if self.checkpoint is None or not self.checkpoint.is_file():
            return False
        saved = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        self.teacher.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.done = saved["done"]
        self.best = _Best(saved["best"] and Score(**saved["best"]), saved["since"])
        torch.set_rng_state(saved["random"])
        if saved["cuda"] is not None:
            torch.cuda.set_rng_state(saved["cuda"], self.device)
        return True

    def save(self, out: Path, done: int, score: Score) -> None:
        """Weights and vocabulary, and in training.json what made them."""
        self.teacher.save(out)
        spent = round(time.perf_counter() - self.began)
        log = {"parameters": self.parameters, "step": done, "steps": self.steps, "seconds": spent}
        more = {"valid": asdict(score), "settings": self.config.model_dump(mode="json")}
        write_json(out / "training.json", log | more)


def train_teacher(
    texts: Sequence[str],
    held_out: Sequence[str],
    out: Path,
    config: TeacherConfig | None = None,
    device: str = "cpu",
    told: Told | None = None,
    vocab: Vocab | None = None,
    checkpoint: Path | None = None,
) -> Score:
    """Train a teacher from scratch and keep the weights of the best validation NLL.

    Args:
        texts: tokenised, words between blanks.
        held_out: looked at after each epoch; training stops after `PATIENCE` without gain.
        out: the folder to write.
        config: shape and training.
        device: where it is trained.
        told: is called on the way.
        vocab: a model's, instead of one built of `texts`.
        checkpoint: a file that the run goes on from, if it is there, and leaves while it is not
            finished: after each epoch, and at Ctrl-C and SIGTERM.

    Returns:
        the best validation score.

    Raises:
        UsageError: no text fits into `positions`.
    """
    config, told = config or TeacherConfig(), told or Told()
    vocab = vocab or Vocab.build(texts, config.min_count, config.max_words, config.pieces)
    fitting = [s for s in encode(texts, vocab) if len(s) <= config.positions]
    valid = [t for t in held_out if len(vocab.encode(t)) <= config.positions - 2]
    if not (fitting and valid):
        raise UsageError(
            f"no text has at most {config.positions - 2} words", "raise positions (--positions)"
        )
    with seeded(config.seed, device):
        run = _Run(config, fitting, vocab, device, checkpoint)
        words = "words and pieces" if vocab.pieces else "words"
        line = f"{len(fitting):,} texts, {len(vocab):,} {words}, {run.parameters:,} parameters"
        left = len(texts) - len(fitting)
        over = f"; {left:,} texts of over {config.positions - 2} {words} left out" if left else ""
        told.line(f"{line}, {run.steps:,} steps{over}")
        if run.go_on():
            told.line(f"going on from step {run.done}")
        score = run.run(out, valid, told)
    if checkpoint is not None:
        checkpoint.unlink()
    return score


def learning_rate(step: int, steps: int, peak: float, warmup: int) -> float:
    """Linear warm-up over `warmup` steps, then a cosine to zero at `steps`; `step` is from 0."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _gpt2(config: TeacherConfig, vocab: Vocab) -> torch.nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(vocab),
            n_positions=config.positions,
            n_embd=config.width,
            n_layer=config.layers,
            n_head=config.heads,
            resid_pdrop=config.dropout,
            embd_pdrop=config.dropout,
            attn_pdrop=config.dropout,
            bos_token_id=vocab.start,
            eos_token_id=vocab.end,
        )
    )
