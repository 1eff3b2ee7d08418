"""What a model will see of a corpus, told before it is trained on it.

    train, valid, told = hold_out(texts)
    for line in check_data(train, min_count=10, max_words=64, held_out=told).lines():
        print(line)

Light: imports no torch.
"""

from __future__ import annotations

import random
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from dlm_core.errors import UsageError

if TYPE_CHECKING:
    from dlm_core.config import TrainConfig
    from dlm_core.vocab import Vocab

T = TypeVar("T")

FEWEST_WORDS = 5
"""A vocabulary of fewer words is refused."""
MOST_LOST = 0.5
"""A corpus that loses a larger share of its running words to UNK is refused."""
_WORRYING_UNK = 0.05
_WORRYING_GLUED = 0.03
_RESERVED = ("START", "END", "UNK", "PAD")
_NO_BLANKS = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
_CLOSING = ".,;:!?\"')]}…”’»。，、；：！？"


class Spelling(NamedTuple):
    """What pieces do for a corpus."""

    pieces: int
    """Of the vocabulary, beside whole words."""
    words: int
    """Running words that are spelled."""
    entries: int
    """How many pieces these are in all."""


@dataclass(frozen=True)
class DataReport:
    """What a corpus holds and what of it is lost; `lines()` is for people, `as_dict()` for JSON."""

    texts: int
    words: int
    vocabulary: int
    min_count: int | None
    """None where the vocabulary is that of a model."""
    unk: int
    """Running words that the vocabulary can neither hold nor spell."""
    lost: tuple[tuple[str, int], ...]
    """The commonest of them, with their counts."""
    mean_words: float
    longest: int
    max_words: int
    too_long: int
    cuts: bool
    """Whether a text that is too long is cut, rather than left out."""
    empty: int
    copies: int
    """Texts that stand in the corpus before."""
    glued: int
    """Running words with punctuation at their end."""
    glued_example: str
    reserved: tuple[tuple[str, int], ...]
    """Words spelt like one of the vocabulary's marks, with their counts."""
    held_out: str
    seen: tuple[str, ...]
    """Three texts as the model sees them."""
    advice: tuple[str, ...]
    spelling: Spelling | None = None
    """Of a vocabulary with pieces."""

    @property
    def unk_share(self) -> float:
        """The share of the running words that become UNK."""
        return self.unk / max(1, self.words)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        spelling = self.spelling._asdict() if self.spelling else None
        return {**asdict(self), "spelling": spelling, "unk_share": round(self.unk_share, 6)}

    def lines(self) -> list[str]:
        """The report, a line a subject; what is in order is not mentioned."""
        said = [
            f"data: {_many(self.texts, 'text')} of {self.mean_words:.1f} words on average, "
            f"{self.longest} at most; {_many(self.words, 'word')} in all"
        ]
        if self.copies:
            said.append(f"duplicates: {_many(self.copies, 'text')} repeat an earlier one")
        if self.held_out:
            said.append(f"held out: {self.held_out}")
        rule = f" of more than {self.min_count} uses" if self.min_count is not None else ""
        kept = f"vocabulary: {_many(self.vocabulary, 'word')}{rule}{self._spelled()}"
        said.append(f"{kept}; {self.unk_share:.1%} of the running words are UNK{self._lost()}")
        if self.too_long:
            what = "cut there" if self.cuts else "left out"
            unit = "words and pieces" if self.spelling else "words"
            said.append(
                f"too long: {self.too_long:,} of {_many(self.texts, 'text')} have more than "
                f"{self.max_words} {unit} and are {what} (max_len)"
            )
        if self.empty:
            said.append(f"empty: {_many(self.empty, 'text')} without a word")
        if self.reserved:
            names = ", ".join(f"{word} ({n:,})" for word, n in self.reserved)
            said.append(f"spelt like a mark of the vocabulary, taken as words: {names}")
        said.append("as the model sees them:")
        said += [f"  | {text}" for text in self.seen]
        said += [f"advice: {line}" for line in self.advice]
        return said

    def _spelled(self) -> str:
        if self.spelling is None:
            return ""
        pieces, words, entries = self.spelling
        said = f" and {_many(pieces, 'piece')}; {words / max(1, self.words):.1%} of the running "
        return said + "words are spelled" + (f", in {entries / words:.1f} each" if words else "")

    def _lost(self) -> str:
        if not self.lost:
            return ""
        return "; most often lost: " + ", ".join(f"{_short(w)} ({n:,})" for w, n in self.lost)


def hold_out(items: Sequence[T]) -> tuple[list[T], list[T], str]:
    """Split a corpus in texts to train on and texts to validate with, and say how.

    A tenth is held out, a thousand at most: drawn at random, since texts often stand in a regular
    order, but the same ones each time.

    Raises:
        UsageError: there is but one text, and nothing would be left to train on.
    """
    if len(items) < 2:
        raise UsageError(
            f"the corpus has {_many(len(items), 'text')}: none can be held out for validation",
            "add texts, or give others to validate with: --valid READER:PATH",
        )
    count = min(1000, max(1, len(items) // 10))
    drawn = set(random.Random(0).sample(range(len(items)), count))
    valid = [item for i, item in enumerate(items) if i in drawn]
    train = [item for i, item in enumerate(items) if i not in drawn]
    return (
        train,
        valid,
        f"{count:,} of {_many(len(items), 'text')}, drawn at random, for validation",
    )


def new_vocab(texts: Sequence[str], settings: TrainConfig) -> Vocab | None:
    """The vocabulary to train with, where its settings are more than `min_count`; else None.

    Raises:
        UsageError: `pieces` are fewer than the characters to spell with.
    """
    from dlm_core.vocab import Vocab

    if settings.max_words is None and not settings.pieces:
        return None
    return Vocab.build(texts, settings.min_count, settings.max_words, settings.pieces)


def check_data(
    texts: Sequence[str],
    *,
    min_count: int = 10,
    max_words: int = 64,
    cuts: bool = False,
    vocab: Vocab | None = None,
    new: Vocab | None = None,
    held_out: str = "",
    source: str = "the corpus",
) -> DataReport:
    """Look at the texts a model, or with `vocab` a head, is to be trained on.

    Args:
        texts: what is trained on, as a corpus reader gives it.
        min_count: words are kept that occur more often.
        max_words: what the model can hold.
        cuts: whether longer texts are cut (length mode `padded`) instead of left out.
        vocab: the words of a model that is there already; `min_count` is not used then.
        new: as `new_vocab` gives it.
        held_out: what is held out, as `hold_out` tells it.
        source: how errors call the corpus.

    Raises:
        UsageError: no text, none fits, not split into words, or too few are kept; and what helps.
    """
    split = [text.split() for text in texts]
    counts = Counter(word for words in split for word in words)
    known, spelled = _entries(counts, min_count, vocab or new, source)
    lost = Counter({w: n for w, n in counts.items() if w not in known and w not in spelled})
    lengths = [sum(len(spelled.get(word, "_")) for word in words) for words in split]
    fitting = [w for w, n in zip(split, lengths, strict=True) if n and (cuts or n <= max_words)]
    if not spelled:
        _refuse_unsegmented(counts, source)
    _refuse_unfit(lengths, max_words, cuts, source)
    _refuse_lost(counts, lost, known | spelled.keys(), None if vocab else min_count, source)
    glued = [word for word in counts if _glued(word)]
    report = DataReport(
        texts=len(texts),
        words=counts.total(),
        vocabulary=len(known),
        min_count=None if vocab else min_count,
        unk=lost.total(),
        lost=tuple(lost.most_common(5)),
        mean_words=counts.total() / len(texts),
        longest=max(map(len, split)),
        max_words=max_words,
        too_long=sum(n > max_words for n in lengths),
        cuts=cuts,
        empty=lengths.count(0),
        copies=len(split) - len({tuple(words) for words in split}),
        glued=sum(counts[word] for word in glued),
        glued_example=max(glued, key=lambda word: counts[word], default=""),
        reserved=tuple((word, counts[word]) for word in _RESERVED if counts[word]),
        held_out=held_out,
        seen=_seen(fitting, {word: [word] for word in known} | spelled, max_words),
        advice=(),
        spelling=_spelling(counts, spelled, vocab or new),
    )
    return replace(report, advice=tuple(_advice(report, counts)))


def _entries(
    counts: Counter[str], min_count: int, vocab: Vocab | None, source: str
) -> tuple[set[str], dict[str, list[str]]]:
    """The whole words, and words of the texts that are spelled with their pieces."""
    if not counts:
        raise UsageError(f"{source}: no text with a word in it")
    if vocab is None:
        return _kept(counts, min_count), {}
    rare = (w for w in counts if vocab.pieces and w not in vocab and vocab.writes(w))
    spelled = {word: [vocab.words[id_] for id_ in vocab.spell(word)] for word in rare}
    return set(vocab.plain_words), spelled


def _spelling(
    counts: Counter[str], spelled: Mapping[str, Sequence[str]], vocab: Vocab | None
) -> Spelling | None:
    if vocab is None or not vocab.pieces:
        return None
    entries = sum(counts[word] * len(parts) for word, parts in spelled.items())
    return Spelling(len(vocab.piece_ids), sum(counts[word] for word in spelled), entries)


def _kept(counts: Counter[str], min_count: int) -> set[str]:
    return {word for word, n in counts.items() if n > min_count}


def _refuse_unsegmented(counts: Counter[str], source: str) -> None:
    """Texts in which a whole sentence is one word."""
    mean = sum(len(word) * n for word, n in counts.items()) / counts.total()
    letters = Counter(_writes_no_blanks(char) for word in counts for char in word if char.isalpha())
    if mean > (8 if letters[True] > letters[False] else 20):
        raise UsageError(
            f"{source}: the texts are not split into words: between blanks stand {mean:.0f} "
            f"characters on average ('{_short(next(iter(counts)))}')",
            "put a blank between words, as a tokeniser of the language does",
        )


def _writes_no_blanks(char: str) -> bool:
    return unicodedata.name(char, "").startswith(_NO_BLANKS)


def _refuse_unfit(lengths: Sequence[int], max_words: int, cuts: bool, source: str) -> None:
    if not cuts and not any(0 < n <= max_words for n in lengths):
        shortest = min(n for n in lengths if n)
        raise UsageError(
            f"{source}: no text fits: the shortest has {shortest} words, and the model holds "
            f"{max_words}",
            "raise max_len of the model, or split the texts",
        )


def _refuse_lost(
    counts: Counter[str],
    lost: Counter[str],
    known: set[str],
    min_count: int | None,
    source: str,
) -> None:
    share = lost.total() / counts.total()
    if len(known) >= FEWEST_WORDS and share <= MOST_LOST:
        return
    what = f"{lost.total():,} of {_many(counts.total(), 'running word')} ({share:.0%})"
    if min_count is None:
        raise UsageError(
            f"{source}: the model does not know {what}: {_examples(lost)}",
            "split the texts into words as the model's corpus is, or train a model on such texts",
        )
    kept = f"min_count = {min_count} keeps {_many(len(known), 'word')}"
    lower = _lower(counts, min_count)
    raise UsageError(
        f"{source}: too little is left to learn from: {kept} of {len(counts):,} and loses {what}",
        f"set min_count: {lower}; or add texts"
        if lower
        else f"add texts: they have only {_many(len(counts), 'word')}",
    )


def _lower(counts: Counter[str], min_count: int) -> str:
    """What smaller values of `min_count` would give; those that would be refused are left out."""
    said = []
    for lower in (5, 2, 1, 0):
        kept = _kept(counts, lower)
        loss = 1 - sum(counts[word] for word in kept) / counts.total()
        if lower < min_count and len(kept) >= FEWEST_WORDS and loss <= MOST_LOST:
            said.append(f"{lower} keeps {_many(len(kept), 'word')} ({loss:.0%} UNK)")
    return ", ".join(said)


def _seen(
    split: Sequence[Sequence[str]], entries: Mapping[str, Sequence[str]], most: int
) -> tuple[str, ...]:
    texts = [split[i] for i in sorted({0, len(split) // 2, len(split) - 1})]
    seen = ([entry for word in words for entry in entries.get(word, ("UNK",))] for words in texts)
    return tuple(_short(" ".join(text[:most]), 200) for text in seen)


def _advice(report: DataReport, counts: Counter[str]) -> Iterable[str]:
    if report.glued > _WORRYING_GLUED * report.words:
        word = report.glued_example
        yield (
            f"{report.glued / report.words:.0%} of the words end in punctuation, as "
            f"'{_short(word)}', and are words of their own: the texts are not tokenised; "
            f"write '{_short(word[:-1])} {word[-1]}'"
        )
    if report.unk_share > _WORRYING_UNK:
        if report.min_count is None:
            yield "a head learns little from words that the model does not know"
        elif lower := _lower(counts, report.min_count):
            yield f"fewer words would be UNK with a smaller min_count: {lower}"
    if report.too_long > 0.02 * report.texts:
        yield "a larger max_len, or shorter texts (a sentence a line), would lose fewer of them"


def _glued(word: str) -> bool:
    return len(word) > 1 and word[-1] in _CLOSING and word[-2].isalnum() and "." not in word[:-1]


def _examples(lost: Counter[str]) -> str:
    return ", ".join(f"'{_short(word)}'" for word, _ in lost.most_common(3))


def _short(text: str, most: int = 30) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _many(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("" if n == 1 else "s")
