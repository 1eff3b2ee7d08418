"""The two classifiers of `classify`: one that steers, and one that judges.

The reader that steers is a probabilistic automaton: a word w moves it from state to state by a
stochastic matrix M_w, and its last state gives the label,

    p(c | w_1 .. w_n) = start^T M_{w_1} ... M_{w_n} read_c .

Each word enters once, so that under independent words w_i ~ q_i the expectation of p(c) is the same
product of the mean matrices sum_w q_i(w) M_w. It is exact, normalised over labels and multilinear
in q: `posterior` guidance conditions on the label and on its contrary without approximation. It is
trained on the rounding distributions of the frozen denoiser at all t, and on the words themselves.

The judge shares nothing with it: other texts of the training set, its own words, a recurrent net.

Shapes: B batch, L positions, V vocabulary, S states, K labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from dlm_controls.classify.head import read_config
from dlm_core.bundle import read_weights
from dlm_core.control.protocol import BuildContext
from dlm_core.diffusion.surroundings import loading, usual_torch
from dlm_core.errors import MissingError
from dlm_core.heads import belongs, broken, fill, read_labels, read_settings
from dlm_core.text import load_json
from dlm_core.weights import MOST_TEXT, fitting, read_file

FLOOR = 1e-6
"""p of a label is no lower, so that its logarithm has a gradient worth following."""


class Reader(nn.Module):
    """p(label | soft words); see the module docstring.

    Args:
        vocab_size: V.
        labels: names of the K labels.
    """

    def __init__(
        self, vocab_size: int, labels: Sequence[str], states: int = 16, features: int = 32
    ) -> None:
        super().__init__()
        self.labels = tuple(labels)
        self.settings = {"states": states, "features": features}
        self.features = nn.Parameter(torch.randn(vocab_size, features))
        self.moves = nn.Parameter(torch.randn(features, states, states) / features**0.5)
        self.stay = nn.Parameter(4.0 * torch.eye(states))  # a word says nothing until it is learnt
        self.start = nn.Parameter(torch.randn(states))
        self.read = nn.Parameter(torch.randn(states, len(labels)))

    def forward(self, q: Tensor, lengths: Tensor) -> Tensor:
        """Word probabilities q (B, L, V), lengths (B,) -> log p(label), (B, K)."""
        move = torch.einsum("vf,fst->vst", self.features, self.moves) + self.stay
        move = move.softmax(-1)  # (V, S, S): rows are distributions over the next state
        means = torch.einsum("blv,vst->blst", q, move)  # (B, L, S, S)
        beyond = torch.arange(q.shape[1], device=q.device) >= lengths[:, None]
        still = torch.eye(move.shape[-1], device=q.device)
        means = torch.where(beyond[..., None, None], still, means)
        state = self.start.softmax(-1).expand(len(q), 1, -1)  # (B, 1, S)
        for i in range(q.shape[1]):
            state = state @ means[:, i]
        p = (state @ self.read.softmax(-1))[:, 0]  # (B, K)
        return (p * (1 - FLOOR * len(self.labels)) + FLOOR).log()


class Judge(nn.Module):
    """p(label | text) by a bidirectional GRU over the judge's own lower-cased words."""

    def __init__(
        self, words: Sequence[str], labels: Sequence[str], width: int = 32, hidden: int = 48
    ) -> None:
        super().__init__()
        self.words, self.labels = tuple(words), tuple(labels)
        self.settings = {"width": width, "hidden": hidden}
        self.ids = {word: i for i, word in enumerate(words, start=2)}  # 0 is PAD, 1 is UNK
        self.embedding = nn.Embedding(len(words) + 2, width, padding_idx=0)
        self.gru = nn.GRU(width, hidden, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.3)
        self.out = nn.Linear(2 * hidden, len(labels))

    def encode(self, text: str) -> list[int]:
        """Ids of the words of a text, at least one."""
        return [self.ids.get(word, 1) for word in text.casefold().split()] or [1]

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        """Words (B, L), lengths (B,) -> logits (B, K)."""
        embedded = self.dropout(self.embedding(words))
        packed = nn.utils.rnn.pack_padded_sequence(
            embedded, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        h, _ = nn.utils.rnn.pad_packed_sequence(
            self.gru(packed)[0], batch_first=True, padding_value=-torch.inf
        )
        return self.out(self.dropout(h.amax(1)))  # type: ignore[no-any-return]

    @usual_torch()
    @torch.no_grad()
    def verdict(self, text: str) -> tuple[str, float]:
        """The likeliest label of a text, and its probability."""
        words = torch.tensor([self.encode(text)], device=self.out.weight.device)
        p = self(words, torch.tensor([words.shape[1]])).softmax(-1)[0]
        best = int(p.argmax())
        return self.labels[best], float(p[best])


@loading()
def load_reader(folder: Path, context: BuildContext, name: str) -> Reader:
    """The classifier that steers, frozen."""
    weights = read_weights(folder / "head.safetensors", belongs(read_config(folder)))
    labels, settings = read_labels(folder, weights), read_settings(folder, weights, "reader")
    try:
        reader = Reader(len(context.vocab), labels, **settings)
    except TypeError as error:
        raise broken(folder, error) from error
    fill(reader, weights, context.info, f"classify/{name}", folder)
    return reader.eval().requires_grad_(False).to(context.device)


@loading()
def load_judge(folder: Path) -> Judge:
    """The classifier that judges, frozen; kept until its file changes."""
    path = folder / "judge.safetensors"
    try:
        return _load_judge(folder, path.stat().st_mtime_ns)
    except FileNotFoundError as error:
        raise MissingError(f"{path} is missing") from error
    except OSError as error:
        raise MissingError(f"cannot read {path}: {error.strerror or error}") from error


@lru_cache(maxsize=8)
def _load_judge(folder: Path, changed: int) -> Judge:
    config = read_config(folder)
    path = folder / "judge.json"
    try:
        words = load_json(read_file(path, MOST_TEXT))
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError(f"{path.name} is no list of words")
        place = folder / "judge.safetensors"
        weights = read_weights(place, [config["labels"], config["judge"], words])
        judge = Judge(words, config["labels"], **read_settings(folder, weights, "judge"))
        judge.load_state_dict(fitting(weights, judge.state_dict(), place))
    except (ValueError, TypeError, RuntimeError) as error:
        raise MissingError(f"the judge in {folder} is broken: {error}") from error
    return judge.eval().requires_grad_(False)
