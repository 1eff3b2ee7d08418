"""A likelihood model with its words: fitted to texts, kept in a folder, measured on others."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from benchmarks.paper.likelihood.bound import bound, even_times
from benchmarks.paper.likelihood.model import LikelihoodModel
from benchmarks.paper.likelihood.training import train
from dlm_core.config import TrainConfig
from dlm_core.errors import MissingError, UsageError
from dlm_core.evaluation.figures import Figure, Units
from dlm_core.training.data import collate
from dlm_core.vocab import Vocab
from dlm_core.weights import read_weights, write_weights

WEIGHTS, CONFIG, WORDS = "model.safetensors", "config.json", "tokenizer.json"
MAX_LEN = 64
"""Words of a text at most."""
TOGETHER = 64
"""Texts in one batch of the evaluation: one-hot vectors take 4 V bytes a word."""
PARTS = ("prior", "reconstruction", "diffusion")


@dataclass(frozen=True, eq=False)
class Fitted:
    """A model, its vocabulary, and what it was made with.

    Attributes:
        told: `model`, the settings of the net; `train`, steps, seconds, parameters; `curve`,
            what the training's `probe` told.
    """

    model: LikelihoodModel
    vocab: Vocab
    told: dict[str, Any]

    def save(self, folder: Path) -> None:
        """Weights, words, settings."""
        folder.mkdir(parents=True, exist_ok=True)
        self.vocab.save(folder / WORDS)
        write_weights(folder / WEIGHTS, self.model.state_dict())
        (folder / CONFIG).write_text(json.dumps(self.told, indent=2) + "\n", "utf-8")

    @classmethod
    def load(cls, folder: Path) -> Fitted:
        """What `save` wrote.

        Raises:
            MissingError: the folder holds none.
        """
        if not (folder / CONFIG).is_file():
            raise MissingError(
                f"no likelihood model in {folder}", "make one: run.py train --out DIR"
            )
        told = json.loads((folder / CONFIG).read_text("utf-8"))
        vocab = Vocab.load(folder / WORDS)
        counts, lengths = torch.zeros(len(vocab)), torch.zeros(MAX_LEN + 1)
        model = LikelihoodModel(counts, lengths, **told["model"])
        model.load_state_dict(read_weights(folder / WEIGHTS))
        return cls(model.eval(), vocab, told)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Of the texts of 1 to `MAX_LEN` words.

        Raises:
            UsageError: there are none.
        """
        return _fitting(texts, self.vocab)


Probe = Callable[[Fitted], float]


def fit(
    texts: Sequence[str],
    settings: dict[str, Any],
    config: TrainConfig,
    say: Callable[[str], None] = lambda _: None,
    probe: Probe | None = None,
) -> Fitted:
    """Train a model of these settings (`LikelihoodModel`'s) on texts.

    Args:
        texts: tokenised.
        settings: of the net.
        config: of the training.
        say: told how far it is.
        probe: asked at steps that double, and at the last; its answers are the `curve`.
    """
    torch.manual_seed(config.seed)
    vocab = Vocab.build(texts)
    ids = _fitting(texts, vocab)
    counts = torch.bincount(torch.tensor([w for text in ids for w in text]), minlength=len(vocab))
    lengths = torch.bincount(torch.tensor([len(t) for t in ids]), minlength=MAX_LEN + 1)
    model = LikelihoodModel(counts, lengths, **settings)
    size = sum(p.numel() for p in model.parameters())
    say(f"{len(ids)} texts, {len(vocab)} words, {size:,} parameters, {config.max_steps} steps")
    fitted = Fitted(model, vocab, {"model": settings, "curve": []})
    began, probing, recent = time.perf_counter(), 0.0, list[float]()
    probed = {config.max_steps >> k for k in range(5)} if probe else set()

    def on_step(step: int, nats: float) -> None:
        nonlocal probing
        recent.append(nats)
        spent = time.perf_counter() - began - probing
        if step % 100 == 0 or step == config.max_steps:
            mean = fmean(recent[-100:])
            say(f"step {step}/{config.max_steps}  {mean:.3f} a word  {spent:.0f} s")
        if step in probed and probe is not None:
            at = time.perf_counter()
            model.eval()
            told = {"step": step, "seconds": round(spent), "nats": probe(fitted)}
            model.train()
            fitted.told["curve"].append(told)
            probing += time.perf_counter() - at

    train(model, ids, vocab.pad, config, on_step)
    seconds = round(time.perf_counter() - began - probing)
    kept = ("max_steps", "lr", "muon_lr", "optimizer", "batch_tokens", "seed")
    fitted.told["train"] = {key: getattr(config, key) for key in kept}
    fitted.told["train"] |= {"seconds": seconds, "parameters": size}
    return fitted


def _fitting(texts: Sequence[str], vocab: Vocab) -> list[list[int]]:
    ids = [ids for ids in vocab.encode_batch(texts) if 0 < len(ids) <= MAX_LEN]
    if not ids:
        raise UsageError(f"none of {len(texts)} texts has 1 to {MAX_LEN} words")
    return ids


@torch.no_grad()
def nats(
    fitted: Fitted, ids: Sequence[Sequence[int]], draws: int, seed: int
) -> dict[str, list[float]]:
    """The parts of the bound of each text, means over the draws; `length` is -log p(n)."""
    model, vocab = fitted.model, fitted.vocab
    generator = torch.Generator().manual_seed(seed)
    order = sorted(range(len(ids)), key=lambda k: len(ids[k]))
    parts = {name: [0.0] * len(ids) for name in PARTS}
    for _ in range(draws):
        # times are spread over all texts of a draw, in an order that has nothing to do with length
        times = even_times(len(ids), generator)[torch.randperm(len(ids), generator=generator)]
        for start in range(0, len(ids), TOGETHER):
            rows = order[start : start + TOGETHER]
            tokens, lengths = collate([ids[k] for k in rows], vocab.pad)
            found = bound(
                model, model.schedule, tokens, lengths, len(vocab), times[rows], generator
            )
            for name, sums in parts.items():
                for k, value in zip(rows, getattr(found, name).tolist(), strict=True):
                    sums[k] += value / draws
    parts["length"] = [-float(model.log_lengths[len(text)]) for text in ids]
    return parts


def figures(parts: dict[str, list[float]], ids: Sequence[Sequence[int]]) -> dict[str, Figure]:
    """The bound and its parts in nats a token (words and one END a text), over texts."""
    units = Units.of([""] * len(ids))
    whole = {"bound": [sum(row) for row in zip(*parts.values(), strict=True)], **parts}
    return {
        name: units.figure(
            name, "nats", [(v, len(text) + 1.0) for v, text in zip(values, ids, strict=True)]
        )
        for name, values in whole.items()
    }
