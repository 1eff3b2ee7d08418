"""Which word a tag of a sequence with gaps asks for."""

from __future__ import annotations

from collections.abc import Sequence


def align(cost: Sequence[Sequence[float]], gaps: Sequence[bool]) -> list[int] | None:
    """The cheapest way to give each word one item: an item takes one word, a gap any number.

    Args:
        cost: of word i under item k; [words][items].
        gaps: which items are gaps.

    Returns:
        the item of each word, or None if no alignment exists.
    """
    words, items = len(cost), len(gaps)
    infinity = float("inf")
    # best[k][i]: the first i words are taken by the first k items
    best = [[infinity] * (words + 1) for _ in range(items + 1)]
    best[0][0] = 0.0
    for k, gap in enumerate(gaps):
        for i in range(words + 1):
            taken = best[k + 1][i - 1] if gap and i else infinity  # the gap takes word i - 1 too
            if not gap and i:
                taken = best[k][i - 1]
            taken += cost[i - 1][k] if i else 0.0
            best[k + 1][i] = min(taken, best[k][i]) if gap else taken
    if best[items][words] == infinity:
        return None
    out: list[int] = []
    k, i = items, words
    while i:
        if gaps[k - 1]:
            if best[k][i] == best[k - 1][i]:
                k -= 1
                continue
            out.append(k - 1)
            i -= 1
        else:
            out.append(k - 1)
            i, k = i - 1, k - 1
    return out[::-1]
