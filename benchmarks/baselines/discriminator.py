"""What FUDGE asks of a prefix: log p(the whole text will meet the control | prefix).

One net and one trainer for every kind: a GRU reads the words; a control that is one event (a fact,
a constituent, a length) is judged by a logit of the state and the control's names, one that is a
label a word (tags, a tree's brackets) by the labels of the word read and of the next `AHEAD` ones.

Shapes: B texts, L tokens, K candidates, H width, S names of a control, Y labels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import trange

from benchmarks.baselines.base import Condition
from dlm_core.control.compose import ControlSpec
from dlm_core.training.data import LengthBatches, collate
from dlm_core.vocab import Vocab

Future = Callable[[Tensor, Tensor], Tensor]
"""((B, i) words so far, (B, K) candidates) -> (B, K) log p(control | words and candidate)."""
AHEAD = 3
ASKED = 8
"""Events that a text is asked in a step of training: half of them its own."""
WIDTH = 128
NEVER = -40.0
"""log p of what can no longer be."""
END, OTHER = "END", "OTHER"
LABELS = 400
"""At most so many labels have a logit of their own."""


class Discriminator(nn.Module):
    """See the module docstring.

    Args:
        vocab_size: of the words, marks included.
        names: of events; id 0 is a name never seen.
        labels: of words; empty where the control is one event.
    """

    def __init__(self, vocab_size: int, names: Sequence[str], labels: Sequence[str]) -> None:
        super().__init__()
        self.names, self.labels = tuple(names), tuple(labels)
        self.name_ids = {name: k for k, name in enumerate(self.names, 1)}
        self.label_ids = {label: k for k, label in enumerate(self.labels)}
        self.words = nn.Embedding(vocab_size, WIDTH)
        self.gru = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.codes = nn.Embedding(len(self.names) + 1, WIDTH, padding_idx=0)
        self.event = nn.Sequential(nn.Linear(3 * WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))
        self.places = nn.Linear(WIDTH, (AHEAD + 1) * max(1, len(self.labels)))

    def event_ids(self, names: Sequence[str]) -> list[int]:
        """Ids of the names of an event."""
        return [self.name_ids.get(name, 0) for name in names]

    def wanted(self, labels: Sequence[str]) -> list[int]:
        """Ids of the labels of a text, END behind the last."""
        other = self.label_ids[OTHER]
        return [self.label_ids.get(label, other) for label in (*labels, END)]

    def event_logits(self, states: Tensor, codes: Tensor) -> Tensor:
        """Of states (..., H) and codes (..., S)."""
        told = self.codes(codes).sum(-2)
        return self.event(torch.cat([states, told, states * told], -1)).squeeze(-1)

    def label_log_probs(self, states: Tensor) -> Tensor:
        """(..., AHEAD + 1, Y)."""
        logits = self.places(states).unflatten(-1, (AHEAD + 1, -1))
        return F.log_softmax(logits, -1)

    def future(self, condition: Condition, spec: ControlSpec) -> Future:
        """log p of one control."""
        labels = condition.labels(spec)
        wanted = None if labels is None else self.wanted(labels)

        @torch.no_grad()
        def log_prob(words: Tensor, candidates: Tensor) -> Tensor:
            count = candidates.shape[1]
            state = None
            if words.shape[1]:
                state = self.gru(self.words(words))[1].repeat_interleave(count, 1)
            h = self.gru(self.words(candidates.reshape(-1, 1)), state)[0][:, 0]
            h = h.view(*candidates.shape, -1)
            place = words.shape[1]
            if wanted is None:
                codes = torch.tensor(self.event_ids(condition.event(spec, place + 1)))
                return F.logsigmoid(self.event_logits(h, codes.expand(*h.shape[:2], -1)))
            if place >= len(wanted):
                return h.new_full(h.shape[:2], NEVER)
            log_p = self.label_log_probs(h)
            rest = wanted[place : place + AHEAD + 1]
            return torch.stack([log_p[..., k, y] for k, y in enumerate(rest)]).sum(0)

        return log_prob

    def save(self, folder: Path) -> None:
        """Weights and names."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.state_dict(), folder / "discriminator.safetensors")
        (folder / "names.json").write_text(json.dumps([self.names, self.labels]), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> Discriminator:
        """What `save` wrote."""
        weights = load_file(folder / "discriminator.safetensors")
        names, labels = json.loads((folder / "names.json").read_text("utf-8"))
        net = cls(len(weights["words.weight"]), names, labels)
        net.load_state_dict(weights)
        return net.eval()


class _Example(list[int]):
    """Words and END of a text, and its place in the corpus."""

    def __init__(self, ids: Sequence[int], place: int) -> None:
        super().__init__(ids)
        self.place = place


def train_discriminator(
    condition: Condition,
    vocab: Vocab,
    texts: Sequence[Sequence[str]],
    controls: Sequence[Sequence[ControlSpec]],
    steps: int,
    seed: int,
) -> Discriminator:
    """Train on every prefix of texts that meet these controls.

    A text is asked events that are true of it and, as often, those of any text.
    """
    torch.manual_seed(seed)
    rng = Random(seed)
    every = [spec for specs in controls for spec in specs]
    labelled = condition.labels(every[0]) is not None  # a text without any is no example then
    names: list[str] = []
    labels: list[str] = []
    if labelled:
        counts: dict[str, int] = {}
        for spec in every:
            for label in condition.labels(spec) or ():
                counts[label] = counts.get(label, 0) + 1
        labels = [END, OTHER, *sorted(counts, key=lambda y: (-counts[y], y))[:LABELS]]
    else:
        longest = 1 + max(map(len, texts))
        kinds = set(every)
        names = sorted(
            {c for s in kinds for i in range(1, longest + 1) for c in condition.event(s, i)}
        )
    net = Discriminator(len(vocab), names, labels)
    rows = [
        _Example([*map(vocab.id, words), vocab.end], k)
        for k, words in enumerate(texts)
        if controls[k] or not labelled
    ]
    batches = LengthBatches(rows, 2000, seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for step in trange(steps, desc=condition.kind, leave=False, disable=None):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * (1 - step / steps)
        batch = batches[step]
        tokens, lengths = collate(batch, vocab.pad)
        real = torch.arange(tokens.shape[1]) < lengths[:, None]
        states = net.gru(net.words(tokens))[0]
        own = [controls[row.place] for row in batch]  # type: ignore[attr-defined]
        if labelled:
            loss = _label_loss(net, condition, own, states, real, rng)
        else:
            loss = _event_loss(net, condition, own, states, real, every, rng)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return net.eval()


def _event_loss(
    net: Discriminator,
    condition: Condition,
    own: Sequence[Sequence[ControlSpec]],
    states: Tensor,
    real: Tensor,
    every: Sequence[ControlSpec],
    rng: Random,
) -> Tensor:
    asked = [
        [rng.choice(specs if specs and k % 2 else every) for k in range(ASKED)] for specs in own
    ]
    true = [[spec in specs for spec in row] for row, specs in zip(asked, own, strict=True)]
    ids: dict[ControlSpec, list[list[int]]] = {}
    for spec in {spec for row in asked for spec in row}:
        places = range(1, states.shape[1] + 1)
        ids[spec] = [net.event_ids(condition.event(spec, i)) for i in places]
    codes = torch.tensor([[ids[spec] for spec in row] for row in asked])  # (B, ASKED, L, S)
    logits = net.event_logits(states[:, None].expand(-1, ASKED, -1, -1), codes)
    target = torch.tensor(true).float()[..., None].expand_as(logits)
    losses = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (losses * real[:, None]).sum() / (ASKED * real.sum())


def _label_loss(
    net: Discriminator,
    condition: Condition,
    own: Sequence[Sequence[ControlSpec]],
    states: Tensor,
    real: Tensor,
    rng: Random,
) -> Tensor:
    wanted = [net.wanted(condition.labels(rng.choice(specs)) or ()) for specs in own]
    ids, _ = collate(wanted, -1)
    ids = F.pad(ids, (0, states.shape[1] + AHEAD + 1 - ids.shape[1]), value=-1)
    log_p = net.label_log_probs(states)
    losses = []
    for k in range(AHEAD + 1):
        target = ids[:, k : k + states.shape[1]].masked_fill(~real, -1)
        losses.append(F.nll_loss(log_p[:, :, k].transpose(1, 2), target, ignore_index=-1))
    return torch.stack(losses).sum()
