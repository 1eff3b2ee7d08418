"""Codes as the writer sees them: ids, in tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from dlm_core.control.shown import Shown
from dlm_core.diffusion.denoisers.shown import MOST_WORDS, NONE, ShownIds
from dlm_core.vocab import Vocab


def collate_shown(
    rows: Sequence[tuple[Sequence[Shown], Sequence[int]]],
    ids: Mapping[str, int],
    vocab: Vocab,
    width: int,
    offset: int = 0,
) -> ShownIds:
    """Codes of a batch as ids.

    Args:
        rows: for each text what is shown of it, its places those of the vocabulary's entries, and
            ids of entries that are known, -1 elsewhere.
        ids: of the codes; a code that is not among them is left out.
        vocab: the words.
        width: L.
        offset: places before the first word.
    """
    entries = [_entries(shown, ids, vocab) for shown, _ in rows]
    most = max(1, *(len(row) for row in entries))
    beside = torch.tensor([[*row, *[(NONE, -1, 0)] * (most - len(row))] for row in entries])
    layers = max(1, *(sum(bool(s.places) for s in shown) for shown, _ in rows))
    places = torch.full((len(rows), width, layers), NONE)
    given = torch.full((len(rows), width), -1)
    for row, (shown, known) in enumerate(rows):
        given[row, offset : offset + len(known)] = torch.tensor(known, dtype=torch.long)
        for layer, said in enumerate(s.places for s in shown if s.places):
            found = [ids.get(name, NONE) if name else NONE for name in said]
            places[row, offset : offset + len(found), layer] = torch.tensor(found)
    codes, words, order = beside.unbind(-1)
    return ShownIds(codes, words, order, places, given)


def _entries(
    shown: Sequence[Shown], ids: Mapping[str, int], vocab: Vocab
) -> list[tuple[int, int, int]]:
    """(code, entry or -1, which entry of the code's words) of one text."""
    found: list[tuple[int, int, int]] = []
    for code in (code for one in shown for code in one.whole if code.name in ids):
        words = [id_ for word in code.words for id_ in vocab.spell(word)][:MOST_WORDS]
        found += [(ids[code.name], id_, k) for k, id_ in enumerate(words)]
        if not words:
            found.append((ids[code.name], -1, 0))
    return found
