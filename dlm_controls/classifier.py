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

import json
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlm_controls.classify import read_config
from dlm_core.bundle import read_weights, write_weights
from dlm_core.data import LengthBatches, collate, layout
from dlm_core.errors import MissingError
from dlm_core.guidance import BuildContext
from dlm_core.heads import fit

if TYPE_CHECKING:
    from dlm_core.bundle import Model

FLOOR = 1e-6
"""p of a label is no lower, so that its logarithm has a gradient worth following."""

Row = tuple[str, str]
"""(text, label)."""


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

    @torch.no_grad()
    def verdict(self, text: str) -> tuple[str, float]:
        """The likeliest label of a text, and its probability."""
        words = torch.tensor([self.encode(text)], device=self.out.weight.device)
        p = self(words, torch.tensor([words.shape[1]])).softmax(-1)[0]
        best = int(p.argmax())
        return self.labels[best], float(p[best])


def load_reader(folder: Path, context: BuildContext) -> Reader:
    """The classifier that steers, frozen."""
    config = read_config(folder)
    reader = Reader(len(context.vocab), config["labels"], **config["reader"])
    _fill(reader, folder / "head.safetensors")
    return reader.to(context.device)


def load_judge(folder: Path) -> Judge:
    """The classifier that judges, frozen; kept until its file changes."""
    path = folder / "judge.safetensors"
    if not path.is_file():
        raise MissingError(f"{path} is missing")
    return _load_judge(folder, path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _load_judge(folder: Path, changed: int) -> Judge:
    config = read_config(folder)
    words = json.loads((folder / "judge.json").read_text(encoding="utf-8"))
    judge = Judge(words, config["labels"], **config["judge"])
    _fill(judge, folder / "judge.safetensors")
    return judge


def _fill(module: nn.Module, path: Path) -> None:
    try:
        module.load_state_dict(read_weights(path))
    except RuntimeError as error:
        raise MissingError(f"{path} does not fit config.json: {error}") from error
    module.eval().requires_grad_(False)


# -- training ---------------------------------------------------------------------------------


def train_classifier(
    model: Model,
    rows: Sequence[Row],
    labels: Sequence[str],
    out: Path,
    *,
    steps: int = 1000,
    batch_tokens: int = 1024,
    seed: int = 0,
    on_step: Callable[[int, int, float], None] | None = None,
    extra: dict[str, Any] | None = None,
) -> dict[str, float]:
    """Train reader and judge, each on a half of the texts, and write `out`.

    Args:
        model: gives words, noise and the rounding distributions; it stays as it is.
        rows: (text, label), in any order; a tenth (at most 1000) is held out.
        labels: names of the labels.
        out: folder for the files.
        steps: of the reader; the judge takes as many of its own.
        batch_tokens: words a batch.
        seed: of the split and the reader; the judge has the next.
        on_step: called with step, steps and loss.
        extra: further keys of config.json.

    Returns:
        held-out accuracy of the judge, and of the reader on the words and on what the model sees of
        them at t = 0.5; the share of the most frequent label; the share of words unknown to the
        model.
    """
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).tolist()
    rows = [rows[i] for i in order]
    held = min(1000, max(1, len(rows) // 10))
    test, rest = rows[:held], rows[held:]
    reader = _train_reader(model, rest[::2], labels, steps, batch_tokens, seed, on_step)
    judge = _train_judge(rest[1::2] or rest, labels, steps, batch_tokens, seed + 1, on_step)

    target = [labels.index(label) for _, label in test]
    words = [model.vocab.encode(text) for text, _ in test]
    clean, noisy = (_read(model, reader, words, t) for t in (None, 0.5))
    judged = [labels.index(judge.verdict(text)[0]) for text, _ in test]
    ids = [i for row in words for i in row]
    figures = {
        "judge": _share(judged, target),
        "reader": _share(clean, target),
        "reader t=0.5": _share(noisy, target),
        "most frequent label": Counter(target).most_common(1)[0][1] / held,
        "unknown words": ids.count(model.vocab.unk) / len(ids),
    }
    figures = {name: round(value, 4) for name, value in figures.items()}

    out.mkdir(parents=True, exist_ok=True)
    write_weights(out / "head.safetensors", reader.state_dict())
    write_weights(out / "judge.safetensors", judge.state_dict())
    _write_json(out / "judge.json", list(judge.words))
    config: dict[str, Any] = {
        "labels": list(labels),
        "reader": reader.settings,
        "judge": judge.settings,
    }
    config |= {"figures": figures, "held out": held, "steps": steps, "seed": seed, **(extra or {})}
    _write_json(out / "config.json", config)
    return figures


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _share(found: Sequence[int], target: Sequence[int]) -> float:
    return sum(a == b for a, b in zip(found, target, strict=True)) / len(target)


def _train_reader(
    model: Model,
    rows: Sequence[Row],
    labels: Sequence[str],
    steps: int,
    batch_tokens: int,
    seed: int,
    on_step: Callable[[int, int, float], None] | None,
) -> Reader:
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    reader = Reader(len(model.vocab), labels).to(model.device)

    batches = LengthBatches(
        [_Labelled(model.vocab.encode(text), labels.index(label)) for text, label in rows],
        batch_tokens,
        seed,
    )

    def loss(step: int) -> Tensor:
        batch: Any = batches[step]
        # every other batch without noise: the words themselves, at the price of no denoiser call
        t = torch.rand(len(batch), generator=generator) if step % 2 else None
        q, lengths = _soft_words(model, batch, t, generator)
        return F.nll_loss(reader(q, lengths), _targets(batch).to(model.device))

    def report(step: int, _: int, value: float) -> None:
        if on_step is not None:
            on_step(step, 2 * steps, value)

    fit([reader], loss, steps, lr=1e-2, on_step=report)
    return reader


def _train_judge(
    rows: Sequence[Row],
    labels: Sequence[str],
    steps: int,
    batch_tokens: int,
    seed: int,
    on_step: Callable[[int, int, float], None] | None,
) -> Judge:
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    counts = Counter(word for text, _ in rows for word in set(text.casefold().split()))
    judge = Judge(sorted(word for word, n in counts.items() if n > 1), labels)

    batches = LengthBatches(
        [_Labelled(judge.encode(text), labels.index(label)) for text, label in rows],
        batch_tokens,
        seed,
    )

    def loss(step: int) -> Tensor:
        batch: Any = batches[step]
        tokens, lengths = collate(batch, 0)
        unknown = torch.rand(tokens.shape, generator=generator) < 0.05
        tokens = torch.where(unknown & (tokens > 0), 1, tokens)
        return F.cross_entropy(judge(tokens, lengths), _targets(batch))

    def report(step: int, _: int, value: float) -> None:
        if on_step is not None:
            on_step(steps + step, 2 * steps, value)

    fit([judge], loss, steps, lr=3e-3, on_step=report)
    return judge


class _Labelled(list[int]):
    """Word ids with their label."""

    def __init__(self, words: Sequence[int], label: int) -> None:
        super().__init__(words)
        self.label = label


def _targets(batch: Sequence[_Labelled]) -> Tensor:
    return torch.tensor([row.label for row in batch])


@torch.no_grad()
def _soft_words(
    model: Model,
    texts: Sequence[Sequence[int]],
    t: Tensor | None,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """q (B, L, V) the model gives the words from x_t (themselves if t is None), lengths (B,)."""
    words, lengths = collate(texts, model.vocab.pad)
    words, lengths = words.to(model.device), lengths.to(model.device)
    if t is None:
        return F.one_hot(words, len(model.vocab)).float(), lengths
    config, net = model.info.config, model.net
    canvas, canvas_lengths = collate(  # the words alone, or with what frames them
        [layout(text, config, model.vocab) or [] for text in texts], model.vocab.pad
    )
    canvas, canvas_lengths, t = (v.to(model.device) for v in (canvas, canvas_lengths, t))
    noise = torch.randn(*canvas.shape, config.embedding_dim, generator=generator)
    x_t = net.schedule.q_sample(net.embed(canvas), t, noise.to(model.device))
    log_q = net.predict(x_t, t, canvas_lengths).token_log_probs
    offset = int(config.length_mode == "padded")
    return log_q[:, offset : offset + words.shape[1]].exp(), lengths


def _read(
    model: Model, reader: Reader, texts: Sequence[Sequence[int]], t: float | None
) -> list[int]:
    """The reader's label of each text, from what the model sees at t."""
    generator = torch.Generator().manual_seed(0)
    found: list[int] = []
    for i in range(0, len(texts), 64):
        part = texts[i : i + 64]
        times = None if t is None else torch.full((len(part),), t)
        q, lengths = _soft_words(model, part, times, generator)
        with torch.no_grad():
            found += reader(q, lengths).argmax(-1).tolist()
    return found
