"""Training of the two classifiers of `classify`, each on texts of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dlm_controls.classify.nets import Judge, Reader
from dlm_controls.pattern.language import warn
from dlm_core.bundle import write_weights
from dlm_core.errors import UsageError
from dlm_core.files import write_json
from dlm_core.heads import write_head
from dlm_core.training.data import LengthBatches, collate, layout
from dlm_core.training.heads import fit, require_texts
from dlm_core.training.seeds import seeded

if TYPE_CHECKING:
    from dlm_core.bundle import Model, ModelInfo
    from dlm_core.corpora import Example

Row = tuple[str, str]
"""(text, label)."""


FEWEST = 5
"""Texts a label must have at least, to be learnt and to be held out."""

_BETTER = 0.1
"""Share of the errors of always the same label that a judge should do without."""


def labelled_rows(
    examples: Sequence[Example], info: ModelInfo | None = None
) -> tuple[list[Row], list[str]]:
    """Texts that fit the model, all without one, with their labels, and the labels there are.

    Raises:
        UsageError: a text has no label, all have the same, or a label too few texts.
    """
    for number, example in enumerate(examples, start=1):
        if not example.fields.get("label", "").strip():
            what = "field 'label' is empty" if "label" in example.fields else "no field 'label'"
            raise UsageError(
                f"text {number} of the corpus: {what}", 'rows like {"text": "...", "label": "yes"}'
            )
    rows = [
        (example.text, example.fields["label"])
        for example in examples
        if info is None or info.holds(example.text)
    ]
    counts = Counter(label for _, label in rows)
    found = ", ".join(f"'{label}' {n}" for label, n in counts.most_common(8))
    found += ", ..." if len(counts) > 8 else ""
    if len(counts) == 1:
        raise UsageError(
            f"the {len(rows)} texts are all labelled {found[: found.rindex(' ')]}: there is "
            "nothing to tell apart",
            "texts of at least two labels",
        )
    fit = f"have 1 to {info.max_words} words" if info else "have a label"
    require_texts(len(rows), len(examples), fit)
    if min(counts.values()) < FEWEST:
        raise UsageError(
            f"too little to learn from: a label needs {FEWEST} texts; there are {found}",
            "label more texts, or leave the rare label out",
        )
    return rows, sorted(counts)


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
    with seeded(seed, model.device):
        reader = _train_reader(model, rest[::2], labels, steps, batch_tokens, seed, on_step)
    with seeded(seed + 1):
        judge = _train_judge(rest[1::2] or rest, labels, steps, batch_tokens, seed + 1, on_step)
    figures = _figures(model, reader, judge, test, labels)
    right, most = figures["judge"], figures["most frequent label"]
    if right < most + _BETTER * (1 - most):
        warn(
            f"the texts hardly show their labels: the judge is right in {right:.1%} of {held} "
            f"held-out texts, always the most frequent label in {most:.1%}; such a control steers "
            "towards nothing"
        )
    config: dict[str, Any] = {
        "labels": list(labels),
        "reader": reader.settings,
        "judge": judge.settings,
    }
    config |= {"figures": figures, "held out": held, "steps": steps, "seed": seed, **(extra or {})}
    told = [config["labels"], config["judge"], list(judge.words)]
    write_weights(out / "judge.safetensors", judge.state_dict(), told)
    write_json(out / "judge.json", list(judge.words), indent=1)
    write_head(model, out, reader.state_dict(), config)
    return figures


def _figures(
    model: Model, reader: Reader, judge: Judge, test: Sequence[Row], labels: Sequence[str]
) -> dict[str, float]:
    target = [labels.index(label) for _, label in test]
    words = [model.vocab.encode(text) for text, _ in test]
    clean, noisy = (_read(model, reader, words, t) for t in (None, 0.5))
    judged = [labels.index(judge.verdict(text)[0]) for text, _ in test]
    ids = [i for row in words for i in row]
    figures = {
        "judge": _share(judged, target),
        "reader": _share(clean, target),
        "reader t=0.5": _share(noisy, target),
        "most frequent label": Counter(target).most_common(1)[0][1] / len(test),
        "unknown words": ids.count(model.vocab.unk) / len(ids),
    }
    return {name: round(value, 4) for name, value in figures.items()}


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
