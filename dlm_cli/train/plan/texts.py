"""How the texts of a corpus are best prepared, and with which words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dlm_core.config import TextConfig
from dlm_core.data_check import PIECES, WORRYING_UNK

if TYPE_CHECKING:
    from dlm_core.corpora import Example

_LONG = 60
"""Words of a text that is better cut into windows."""
_LONGEST = 128
_MOST_WORDS = 8_000
"""Whole words of a vocabulary that spells the others."""
_SOME = 0.02
"""A smaller share of the texts is an exception."""


@dataclass(frozen=True)
class Choice:
    """Settings of a corpus, each with its reason.

    Attributes:
        text: how texts are prepared.
        min_count, max_words, pieces: the vocabulary's.
        max_len: positions of the longest text.
        why: the reason of each, by its name.
    """

    text: TextConfig
    min_count: int
    max_words: int | None
    pieces: int
    max_len: int
    why: dict[str, str] = field(default_factory=dict)


def choose_text(examples: Sequence[Example]) -> tuple[TextConfig, dict[str, str]]:
    """Case, end marks and windows, by what the texts have."""
    from dlm_core.corpora import prepare

    plain = prepare(examples, TextConfig())
    total = len(plain)
    small = sum(e.text == e.text.lower() for e in plain) / total
    ended = sum(e.text == f.text for e, f in zip(
        plain, prepare(examples, TextConfig(full_stop=True)), strict=True)) / total  # fmt: skip
    long = sum(len(e.text.split()) > _LONG for e in plain) / total
    several = sum(len(e.sentences) > 1 for e in plain) / total
    mixed = _SOME < small < 1 - _SOME
    stops = 0.5 < ended < 1 - _SOME / 2
    windows = long > _SOME and several > 0.5
    why = {
        "case": f"{small:.0%} of the texts are in small letters",
        "full_stop": f"{1 - ended:.0%} of the texts have no end mark",
        "sentences": f"{long:.0%} of the texts have more than {_LONG} words",
    }
    text = TextConfig(
        case="true" if mixed else "keep",
        full_stop=stops,
        sentences=(1, 3) if windows else None,
    )
    return text, why


def choose(examples: Sequence[Example]) -> Choice:
    """All settings that the texts alone decide."""
    from dlm_core.corpora import prepare
    from dlm_core.vocab import Vocab

    text, why = choose_text(examples)
    split = [words for e in prepare(examples, text) if (words := e.text.split())]
    counts = Counter(word for words in split for word in words)
    min_count, max_words, pieces, reason = _words(counts)
    sizes = sorted(map(len, split))
    if pieces:
        vocab = Vocab.build((" ".join(words) for words in split), min_count, max_words, pieces)
        spelled = {word: len(vocab.spell(word)) for word in counts}
        sizes = sorted(sum(spelled[word] for word in words) for words in split)
    needed = sizes[int(0.99 * (len(sizes) - 1))]
    max_len = min(_LONGEST, max(16, -(-needed // 8) * 8))
    fit = sum(size <= max_len for size in sizes) / max(1, len(sizes))
    why |= {"min_count": reason, "max_len": f"{fit:.1%} of the texts fit"}
    return Choice(text, min_count, max_words, pieces, max_len, why)


def _words(counts: Counter[str]) -> tuple[int, int | None, int, str]:
    """`min_count`, `max_words` and `pieces`, and why."""
    total = max(1, counts.total())
    unk = 0.0
    for least in (10, 5, 2):
        kept = [n for n in counts.values() if n > least]
        unk = 1 - sum(kept) / total
        if unk <= WORRYING_UNK and len(kept) <= _MOST_WORDS:
            return least, None, 0, f"{len(kept):,} words; {unk:.1%} of the running words are UNK"
    frequent = sum(n for _, n in counts.most_common(_MOST_WORDS) if n > 2)
    rare = [word for word, n in counts.items() if n <= 2]
    rare += [word for word, _ in counts.most_common()[_MOST_WORDS:]]
    letters = len({word[0] for word in rare}) + len({c for word in rare for c in word[1:]})
    return (
        2,
        _MOST_WORDS if len(counts) - len(rare) >= _MOST_WORDS else None,
        max(PIECES, 2 * letters),
        f"pieces spell the {1 - frequent / total:.1%} of the running words that are rare: words "
        f"alone would leave {unk:.1%} UNK",
    )
