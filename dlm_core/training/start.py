"""Weights that a training begins with: those of a bundle, whole or as far as they fit."""

from __future__ import annotations

import torch
from torch import Tensor

from dlm_core.bundle import EMBEDDING, Model
from dlm_core.diffusion.model import DiffusionLM
from dlm_core.errors import UsageError
from dlm_core.vocab import Vocab

_OWN = "length_counts"
"""A table of the corpus, which no other model has."""


def start_from(net: DiffusionLM, vocab: Vocab, model: Model) -> None:
    """Take all weights of a bundle.

    Raises:
        UsageError: its shape or vocabulary is another.
    """
    ours, theirs = net.config.model_dump(), model.info.config.model_dump()
    for key in ours:
        if ours[key] != theirs[key] and key not in ("learned_embedding", "dropout"):
            raise UsageError(
                f"--init: '{key}' of the model is {theirs[key]!r}, this run's is {ours[key]!r}",
                "leave it out of the [model] table of --config, or take what fits: --new-words",
            )
    if model.vocab.plain_words != vocab.plain_words:
        raise UsageError("--init: the model's vocabulary is not this corpus's", "--new-words")
    counts = net.length_counts.clone()
    net.load_state_dict(model.net.state_dict())
    net.length_counts.copy_(counts)


@torch.no_grad()
def start_from_fitting(net: DiffusionLM, vocab: Vocab, model: Model) -> str:
    """Take what fits of a bundle with other words: rows of shared words, and tensors of one shape.

    Returns:
        how much that is, for people.

    Raises:
        UsageError: nothing fits.
    """
    shared = shared_entries(vocab, model.vocab)
    by_word = _dims_of_words(net)
    state, theirs = net.state_dict(), model.net.state_dict()
    taken = total = kept = 0
    for name, ours in state.items():
        if name == _OWN:
            continue
        other = theirs.get(name)
        if name in by_word:
            if _take_rows(ours, other, by_word[name], shared) and name == EMBEDDING:
                kept = shared.shape[1]
            continue
        total += ours.numel()
        if other is not None and other.shape == ours.shape:
            ours.copy_(other)
            taken += ours.numel()
    if not (kept or taken):
        raise UsageError(
            f"--init: nothing of {model.info.name} fits: its word vectors and all other weights "
            "have another shape",
            "take its shape: leave out the [model] table of --config",
        )
    return (
        f"--init: {kept:,} of {len(vocab):,} words begin with their vectors of "
        f"{model.info.name}, and {taken / max(1, total):.0%} of the other weights are its own"
    )


def shared_entries(vocab: Vocab, other: Vocab) -> Tensor:
    """Ids of the entries that two vocabularies share, marks among them, (2, K)."""
    pieces = [] if vocab.pieces == other.pieces else [*vocab.piece_ids]
    ours = {word: k for k, word in enumerate(vocab.words) if k not in pieces}
    theirs = {word: k for k, word in enumerate(other.words)}
    return torch.tensor([(k, theirs[word]) for word, k in ours.items() if word in theirs]).T


def _dims_of_words(net: DiffusionLM) -> dict[str, int]:
    """Tensors with a row a word, and which of their dimensions that is."""
    larger = net.config.model_copy(update={"vocab_size": net.config.vocab_size + 1})
    with torch.device("meta"):
        other = DiffusionLM(larger, pad=net.pad, unk=net.unk).state_dict()
    found = {}
    for name, ours in net.state_dict().items():
        for dim, (a, b) in enumerate(zip(ours.shape, other[name].shape, strict=True)):
            if a != b:
                found[name] = dim
    return found


def _take_rows(ours: Tensor, other: Tensor | None, dim: int, shared: Tensor) -> bool:
    """Copy the rows of shared words, where the other dimensions are the same; did it?"""
    if other is None or other.dim() != ours.dim():
        return False
    if any(
        a != b for k, (a, b) in enumerate(zip(ours.shape, other.shape, strict=True)) if k != dim
    ):
        return False
    shared = shared.to(ours.device)
    rows = other.to(ours.device).index_select(dim, shared[1])
    ours.index_copy_(dim, shared[0], rows.to(ours.dtype))
    return True
