"""Trains a teacher: transformers' GPT-2 from scratch on a corpus."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from pydantic import Field

from dlm_core.config import AS_THEY_ARE, Settings, TextConfig
from dlm_core.errors import UsageError
from dlm_core.evaluation.teacher import Score, Teacher, encode, token_losses
from dlm_core.files import write_json
from dlm_core.training.data import LengthBatches
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


@dataclass
class Told:
    """What a training run tells on its way."""

    start: Callable[[int, str], None] = lambda steps, line: None
    step: Callable[[int, float], None] = lambda step, loss: None
    valid: Callable[[int, Score], None] = lambda step, score: None


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
    began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        config = self.config
        self.batches = LengthBatches(self.sequences, config.batch_tokens, config.seed)
        epoch = self.batches.batches_per_epoch
        self.steps = config.steps or math.ceil(config.epochs * epoch)
        self.teacher = Teacher(_gpt2(config, self.vocab).to(self.device), self.vocab)  # type: ignore[arg-type]
        self.parameters = sum(p.numel() for p in self.teacher.model.parameters())

    def losses(self) -> Iterator[tuple[int, float]]:
        """Train, and give the number of steps done and the loss of the last."""
        model = self.teacher.model
        optimizer = torch.optim.AdamW(model.parameters(), lr=self.config.lr, weight_decay=0.01)
        warmup = min(200, max(1, self.steps // 10))
        for step in range(self.steps):
            model.train()
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, self.steps, self.config.lr, warmup)
            losses, lengths = token_losses(model, self.batches[step], self.vocab.pad)
            loss = losses.sum() / (int(lengths.sum()) - len(lengths))
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            yield step + 1, float(loss.detach())

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

    Returns:
        the best validation score.

    Raises:
        UsageError: no text fits into `positions`, or `width` is no multiple of `heads`.
    """
    config, told = config or TeacherConfig(), told or Told()
    if config.width % config.heads:
        raise UsageError(f"width={config.width} is not a multiple of heads={config.heads}")
    torch.manual_seed(config.seed)
    vocab = vocab or Vocab.build(texts, config.min_count, config.max_words, config.pieces)
    fitting = [s for s in encode(texts, vocab) if len(s) <= config.positions]
    valid = [t for t in held_out if len(vocab.encode(t)) <= config.positions - 2]
    if not (fitting and valid):
        raise UsageError(
            f"no text has at most {config.positions - 2} words", "raise positions (--positions)"
        )
    run = _Run(config, fitting, vocab, device)
    line = f"{len(fitting):,} texts, {len(vocab):,} words, {run.parameters:,} parameters"
    left_out = len(texts) - len(fitting)
    over = f"; {left_out:,} texts of over {config.positions - 2} words left out" if left_out else ""
    told.start(run.steps, f"{line}, {run.steps:,} steps{over}")
    best = _Best()
    for done, loss in run.losses():
        told.step(done, loss)
        if done % run.batches.batches_per_epoch and done != run.steps:
            continue
        score = run.teacher.summary(valid)
        told.valid(done, score)
        if best.better(score):
            run.save(out, done, score)
        if best.since == PATIENCE:
            break
    assert best.score is not None
    return best.score


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
