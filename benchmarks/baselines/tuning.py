"""Fine-tuning: a GPT-2 goes on from the AR base on texts behind the codes of their control.

The loss is that of the words alone. Codes are ids behind the vocabulary's, each with a vector of
its own (`word:x` in a condition's codes is the word x).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from tqdm import trange
from transformers import GPT2LMHeadModel

from benchmarks.baselines.words import WordLM
from dlm_core.training.data import LengthBatches, collate
from dlm_core.vocab import Vocab

WORD = "word:"
BATCH_TOKENS = 2000
LR = 2e-3


class Pair(list[int]):
    """Codes, START, words and END, and how many of them are given."""

    def __init__(self, ids: Iterable[int], given: int) -> None:
        super().__init__(ids)
        self.given = given


@dataclass(frozen=True, eq=False)
class Tuned(WordLM):
    """A word LM that is told a control.

    Attributes:
        names: of its codes, in the order of their ids.
    """

    names: tuple[str, ...] = ()

    def ids(self, codes: Iterable[str]) -> list[int]:
        """Ids of codes; one that no training text had is UNK, and says nothing."""
        first = {name: len(self.vocab) + k for k, name in enumerate(self.names)}
        return [
            self.vocab.id(code.removeprefix(WORD))
            if code.startswith(WORD)
            else first.get(code, self.vocab.unk)
            for code in codes
        ]

    def save(self, folder: Path) -> None:
        """Weights, vocabulary and names."""
        self.model.save_pretrained(folder)
        self.vocab.save(folder / "tokenizer.json")
        (folder / "codes.json").write_text(json.dumps(self.names, ensure_ascii=False), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> Tuned:
        """What `save` wrote."""
        names = tuple(json.loads((folder / "codes.json").read_text("utf-8")))
        model = GPT2LMHeadModel.from_pretrained(folder, use_safetensors=True).eval()
        return cls(model, Vocab.load(folder / "tokenizer.json"), names)


def fine_tune(
    base: WordLM,
    pairs: Sequence[tuple[Sequence[str], Sequence[str]]],
    steps: int,
    seed: int,
) -> Tuned:
    """Train on (codes, words) so many steps, with Adam and a linear fall of its rate."""
    names = sorted({c for codes, _ in pairs for c in codes if not c.startswith(WORD)})
    model = copy.deepcopy(base.model).requires_grad_(True)
    torch.manual_seed(seed)
    model.resize_token_embeddings(len(base.vocab) + len(names), mean_resizing=False)
    tuned = Tuned(model, base.vocab, tuple(names))
    vocab, most = base.vocab, model.config.n_positions
    sequences = []
    for codes, words in pairs:
        given = [*tuned.ids(codes), vocab.start]
        pair = Pair([*given, *map(vocab.id, words), vocab.end], len(given))
        if len(pair) <= most:
            sequences.append(pair)
    batches = LengthBatches(sequences, BATCH_TOKENS, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.01)
    model.train()
    for step in trange(steps, desc="fine-tuning", leave=False, disable=None):
        rate = LR * min(1.0, (step + 1) / 20) * (1 - step / steps)
        update(model, optimizer, rate, batches[step], vocab.pad)
    model.eval()
    return tuned


def update(
    model: GPT2LMHeadModel,
    optimizer: torch.optim.Optimizer,
    rate: float,
    batch: Sequence[Sequence[int]],
    pad: int,
    bf16: bool = False,
) -> float:
    """One step on a batch of `Pair`s at this rate; nats a token of what is not given."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    tokens, lengths = collate(batch, pad)
    starts = torch.tensor([pair.given for pair in batch])  # type: ignore[attr-defined]
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
    losses = F.cross_entropy(logits.float().transpose(1, 2), tokens[:, 1:], reduction="none")
    place = torch.arange(1, tokens.shape[1])
    counted = (place >= starts[:, None]) & (place < lengths[:, None])
    loss = (losses * counted).sum() / counted.sum()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())
