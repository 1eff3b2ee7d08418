"""What a model will see of a corpus, told before it is trained on it.

    train, valid, told = hold_out(texts)
    for line in check_data(train, min_count=10, max_len=64, held_out=told).lines():
        print(line)

Light: imports no torch.
"""

from __future__ import annotations

import random
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from dlm_core.errors import UsageError
from dlm_core.vocab import Vocab

if TYPE_CHECKING:
    from dlm_core.corpora.fields import FieldReport

T = TypeVar("T")

FEWEST_WORDS = 5
"""A vocabulary of fewer words is refused."""
MOST_LOST = 0.5
"""A corpus that loses a larger share of its running words to UNK is refused."""
WORRYING_UNK = 0.01
"""A larger share of UNK is better spelled."""
PIECES = 4_000
"""How many pieces are advised to spell rare words with."""
_WORRYING_UNK_OF_HEADS = 0.05
_WORRYING_GLUED = 0.03
_FIELDS = 12
"""Fields that are told one by one."""
_RESERVED = ("START", "END", "UNK", "PAD")
_SPELL = f"; words of many forms are better spelled: pieces = {PIECES}"
_NO_BLANKS = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
_CLOSING = ".,;:!?\"')]}…”’»。，、；：！？"


@dataclass(frozen=True)
class DataReport:
    """What a corpus holds and what of it is lost; `lines()` is for people, `as_dict()` for JSON."""

    texts: int
    words: int
    vocabulary: int
    min_count: int | None
    """None where the vocabulary is that of a model."""
    unk: int
    """Running words that the vocabulary lacks."""
    lost: tuple[tuple[str, int], ...]
    """The commonest of them, with their counts."""
    positions: int
    """Running words, spelled ones counted by their pieces."""
    mean_words: float
    longest: int
    max_len: int
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
    advice: tuple[str, ...] = ()
    pieces: int = 0
    """Entries of the vocabulary that spell words."""
    spelled: int = 0
    """Running words that are spelled."""
    fields: tuple[FieldReport, ...] = ()

    @property
    def unk_share(self) -> float:
        """The share of the running words that become UNK."""
        return self.unk / max(1, self.words)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "unk_share": round(self.unk_share, 6)}

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
        kept = f"vocabulary: {_many(self.vocabulary, 'word')}{rule}"
        if self.pieces:
            share = f"{self.spelled / max(1, self.words):.1%} of the running words"
            each = (self.positions - self.words + self.spelled) / max(1, self.spelled)
            kept += f" and {_many(self.pieces, 'piece')}, which spell {share}, {each:.1f} a word"
        said.append(f"{kept}; {self.unk_share:.1%} of the running words are UNK{self._lost()}")
        if self.too_long:
            what = "cut there" if self.cuts else "left out"
            said.append(
                f"too long: {self.too_long:,} of {_many(self.texts, 'text')} have more than "
                f"{self.max_len} {'pieces' if self.pieces else 'words'} and are {what} (max_len)"
            )
        if self.empty:
            said.append(f"empty: {_many(self.empty, 'text')} without a word")
        if self.reserved:
            names = ", ".join(f"{word} ({n:,})" for word, n in self.reserved)
            said.append(f"spelt like a mark of the vocabulary, taken as words: {names}")
        said += [field.line for field in self.fields[:_FIELDS]]
        if more := self.fields[_FIELDS:]:
            said.append(f"and {_many(len(more), 'field')} more: {', '.join(f.name for f in more)}")
        said.append("as the model sees them:")
        said += [f"  | {text}" for text in self.seen]
        said += [f"advice: {line}" for line in self.advice]
        return said

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


def check_data(
    texts: Sequence[str],
    *,
    min_count: int = 10,
    max_words: int | None = None,
    pieces: int = 0,
    max_len: int = 64,
    cuts: bool = False,
    vocab: Vocab | None = None,
    new: bool = False,
    held_out: str = "",
    source: str = "the corpus",
    fields: Sequence[FieldReport] = (),
) -> DataReport:
    """Look at the texts a model, or with `vocab` a head, is to be trained on.

    Args:
        texts: what is trained on, prepared.
        min_count: words are kept that occur more often.
        max_words, pieces: the most frequent only, and how many pieces spell the others.
        max_len: words, or pieces of words, that the model can hold.
        cuts: whether longer texts are cut (length mode `padded`) instead of left out.
        vocab: the words of a model that is there already; `min_count` is not used then.
        new: `vocab` was made of these texts by the rules above.
        held_out: what is held out, as `hold_out` tells it.
        source: how errors call the corpus.
        fields: of the corpus, as `look_at_fields` tells them.

    Raises:
        UsageError: no text, none fits, not split into words, or too few are kept; and what helps.
    """
    split = [text.split() for text in texts]
    counts = Counter(word for words in split for word in words)
    if not counts:
        raise UsageError(f"{source}: no text with a word in it")
    asked = min_count if new or vocab is None else None
    if vocab is None and pieces:
        vocab = Vocab.build(texts, min_count, max_words, pieces)
    whole = _kept(counts, min_count, max_words) if vocab is None else set(vocab.plain_words)
    spelled = _spelled(counts, vocab)
    _refuse_unsegmented(counts, vocab, source)
    known = whole | spelled.keys()
    lengths = [sum(spelled.get(word, 1) for word in words) for words in split]
    lost = Counter({word: n for word, n in counts.items() if word not in known})
    _refuse_unfit(lengths, max_len, cuts, source)
    _refuse_lost(counts, lost, known, asked, source)
    report = DataReport(
        **_counted(split, counts),
        **_vocabulary(counts, whole, lost, vocab),
        min_count=asked,
        positions=sum(lengths),
        longest=max(lengths),
        max_len=max_len,
        too_long=sum(n > max_len for n in lengths),
        cuts=cuts,
        held_out=held_out,
        seen=_seen([w[:max_len] for w in split if w and (cuts or len(w) <= max_len)], known),
        fields=tuple(fields),
    )
    return replace(report, advice=tuple(_advice(report, counts)))


def _counted(split: Sequence[Sequence[str]], counts: Counter[str]) -> dict[str, Any]:
    """What is told of the texts whatever the model."""
    glued = [word for word in counts if _glued(word)]
    return {
        "texts": len(split),
        "words": counts.total(),
        "mean_words": counts.total() / len(split),
        "empty": sum(not words for words in split),
        "copies": len(split) - len({tuple(words) for words in split}),
        "glued": sum(counts[word] for word in glued),
        "glued_example": max(glued, key=lambda word: counts[word], default=""),
        "reserved": tuple((word, counts[word]) for word in _RESERVED if counts[word]),
    }


def _vocabulary(
    counts: Counter[str], whole: set[str], lost: Counter[str], vocab: Vocab | None
) -> dict[str, Any]:
    """How the words are kept: whole, spelled, or not at all."""
    held = sum(n for word, n in counts.items() if word in whole)
    return {
        "vocabulary": len(whole),
        "unk": lost.total(),
        "lost": tuple(lost.most_common(5)),
        "pieces": len(vocab.piece_ids) if vocab is not None else 0,
        "spelled": counts.total() - held - lost.total(),
    }


def _spelled(counts: Counter[str], vocab: Vocab | None) -> dict[str, int]:
    """How many pieces each word has that a vocabulary with pieces can say; the pieces have one."""
    if vocab is None or not vocab.pieces:
        return {}
    words = {word: len(ids) for word in counts if vocab.unk not in (ids := vocab.spell(word))}
    return {vocab.words[k]: 1 for k in vocab.piece_ids} | words


def _kept(counts: Counter[str], min_count: int, most: int | None = None) -> set[str]:
    kept = [word for word, n in counts.items() if n > min_count]
    return set(sorted(kept, key=lambda word: (-counts[word], word))[:most])


def _refuse_unsegmented(counts: Counter[str], vocab: Vocab | None, source: str) -> None:
    """Texts in which a whole sentence is one word, which only pieces can spell."""
    if not (vocab is not None and vocab.pieces) and _unsegmented(counts):
        raise UsageError(
            f"{source}: the texts are not split into words: between blanks stand "
            f"{_mean(counts):.0f} characters on average ('{_short(next(iter(counts)))}')",
            f"spell them: pieces = {PIECES} in the config; or put a blank between words, as a "
            "tokeniser of the language does",
        )


def _unsegmented(counts: Counter[str]) -> bool:
    letters = Counter(_writes_no_blanks(char) for word in counts for char in word if char.isalpha())
    return _mean(counts) > (8 if letters[True] > letters[False] else 20)


def _mean(counts: Counter[str]) -> float:
    return sum(len(word) * n for word, n in counts.items()) / counts.total()


def _writes_no_blanks(char: str) -> bool:
    return unicodedata.name(char, "").startswith(_NO_BLANKS)


def _refuse_unfit(lengths: Sequence[int], max_len: int, cuts: bool, source: str) -> None:
    if not cuts and not any(0 < n <= max_len for n in lengths):
        shortest = min(n for n in lengths if n)
        raise UsageError(
            f"{source}: no text fits: the shortest has {shortest} words, and the model holds "
            f"{max_len}",
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


def _seen(split: Sequence[Sequence[str]], known: set[str]) -> tuple[str, ...]:
    places = sorted({0, len(split) // 2, len(split) - 1})
    return tuple(
        _short(" ".join(word if word in known else "UNK" for word in split[i]), 200) for i in places
    )


def _advice(report: DataReport, counts: Counter[str]) -> Iterable[str]:
    unsegmented = _unsegmented(counts)
    if unsegmented and report.min_count is not None and 2 * report.spelled < report.words:
        whole = "most of what stands between blanks, though no word, is kept whole"
        yield f"{whole}: a larger min_count than {report.min_count} has pieces spell it"
    if report.glued > _WORRYING_GLUED * report.words and not unsegmented:
        word = report.glued_example
        yield (
            f"{report.glued / report.words:.0%} of the words end in punctuation, as "
            f"'{_short(word)}', and are words of their own: the texts are not tokenised; "
            f"write '{_short(word[:-1])} {word[-1]}'"
        )
    if report.min_count is None and report.unk_share > _WORRYING_UNK_OF_HEADS:
        yield "a head learns little from words that the model does not know"
    if report.min_count is not None and report.unk_share > WORRYING_UNK:
        yield f"none of these words would be UNK if pieces spelled them: pieces = {PIECES}"
        if lower := _lower(counts, report.min_count):
            yield f"fewer words would be UNK with a smaller min_count: {lower}"
    script, share = _script(counts)
    if script != "LATIN" and share > 0.5:
        yield (
            f"{share:.0%} of the letters are {script.title()}: pos and tree are judged by parsers "
            "of English, and are of no use here" + ("" if report.pieces else _SPELL)
        )
    if report.too_long > 0.02 * report.texts:
        yield "a larger max_len, or shorter texts (a sentence a line), would lose fewer of them"
    for field in report.fields[:_FIELDS]:
        yield from field.advice


def _script(counts: Counter[str]) -> tuple[str, float]:
    """The script that most letters of the commonest words are of, and their share."""
    letters = Counter(
        unicodedata.name(char, "").partition(" ")[0]
        for word, _ in counts.most_common(2_000)
        for char in word
        if char.isalpha()
    )
    if not letters:
        return "LATIN", 1.0
    script, count = letters.most_common(1)[0]
    return script, count / letters.total()


def _glued(word: str) -> bool:
    return len(word) > 1 and word[-1] in _CLOSING and word[-2].isalnum() and "." not in word[:-1]


def _examples(lost: Counter[str]) -> str:
    return ", ".join(f"'{_short(word)}'" for word, _ in lost.most_common(3))


def _short(text: str, most: int = 30) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _many(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("" if n == 1 else "s")
