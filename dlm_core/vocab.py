"""The vocabulary: START, END, UNK, PAD, frequent words, and pieces that spell the rare ones."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from dlm_core.errors import MissingError, UsageError, did_you_mean
from dlm_core.text import normal

START, END, UNK, PAD = "START", "END", "UNK", "PAD"
SPECIALS = (START, END, UNK, PAD)
"""The marks, as people see them."""
_APART = tuple(f" {mark}" for mark in SPECIALS)
"""How `tokenizer.json` spells them where a corpus has such words: no word begins with a blank."""
CONTINUES = "##"
"""Begins a piece that goes on a word, as BERT's vocabularies have them."""
_FEWEST = 2
"""Uses of what two pieces make together: else whole texts become pieces in a small corpus."""
_LONGEST = 1_000
"""Characters of a word that is spelled; a script without blanks has whole sentences of them."""


class Vocab:
    """A word-level vocabulary kept in a Hugging Face `Tokenizer`.

    Words are whatever whitespace separates: the corpora are tokenised already. An accent and its
    letter are one character (NFC), however they were typed.
    Ids 0..3 are START, END, UNK and PAD, as in the released Diffusion-LM. These are marks and no
    words: no text can have them, and a word spelt so is a word like others.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        ids = tokenizer.get_vocab(with_added_tokens=True)
        entries = sorted(ids, key=ids.__getitem__)
        if tuple(entries[: len(SPECIALS)]) not in (SPECIALS, _APART):
            raise MissingError(
                f"not a dlm vocabulary: entries 0..3 are {entries[:4]}, expected {SPECIALS}"
            )
        if sorted(ids.values()) != list(range(len(ids))):
            raise MissingError("not a dlm vocabulary: its ids have gaps, or two words share one")
        words = entries[len(SPECIALS) :]
        for word in words:
            if word.split() != [word]:
                raise MissingError(f"not a dlm vocabulary: {word[:40]!r} is not one word")
        self.words: list[str] = [*SPECIALS, *words]
        self.pieces = isinstance(tokenizer.model, models.WordPiece)
        """Are words spelled in pieces?"""
        places = [k for k, word in enumerate(self.words) if self._goes_on(word)]
        self._whole = places[0] if places else len(self.words)
        self._ids = {word: ids[word] for word in words}
        for word in words:  # a vocabulary of before may hold them otherwise
            self._ids.setdefault(normal(word), ids[word])

    @classmethod
    def build(
        cls,
        texts: Iterable[str],
        min_count: int = 10,
        max_words: int | None = None,
        pieces: int = 0,
    ) -> Vocab:
        """Keep words seen more than `min_count` times (the paper's rule, peers.md §1.3).

        On the E2E training set `min_count=10` gives 821 entries.

        Args:
            texts: words with whitespace between them.
            min_count: see above.
            max_words: keep the most frequent words only.
            pieces: how many pieces are learnt (by BPE) to spell the others with, at least as many
                as they have characters; 0 leaves them unknown.
        """
        counts = Counter(word for text in texts for word in normal(text).split())
        kept = sorted(
            (
                word
                for word, n in counts.items()
                if n > min_count and not (pieces and word.startswith(CONTINUES))
            ),
            key=lambda word: (-counts[word], word),
        )[:max_words]
        marks = SPECIALS if counts.keys().isdisjoint(SPECIALS) else _APART
        if pieces:
            kept += _learn_pieces(counts, kept, pieces)
        entries = {word: k for k, word in enumerate([*marks, *kept])}
        model: models.Model = models.WordLevel(entries, unk_token=marks[2])
        if pieces:
            model = models.WordPiece(
                entries, unk_token=marks[2], max_input_chars_per_word=_LONGEST,
                continuing_subword_prefix=CONTINUES,
            )  # fmt: skip
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        return cls(tokenizer)

    @classmethod
    def load(cls, path: Path) -> Vocab:
        """Read `tokenizer.json`; MissingError names the file if it is absent or broken."""
        if path.exists() and not path.is_file():  # a pipe or a device never ends
            raise MissingError(f"cannot read the vocabulary {path}: not a regular file")
        try:
            return cls(Tokenizer.from_file(str(path)))
        except MissingError as error:
            raise MissingError(f"{path}: {error.message}") from error
        except Exception as error:  # tokenizers raises bare Exception
            raise MissingError(f"cannot read the vocabulary {path}: {error}") from error

    def save(self, path: Path) -> None:
        """Write `tokenizer.json`."""
        self.tokenizer.save(str(path))

    @property
    def plain_words(self) -> list[str]:
        """The whole words, without START, END, UNK, PAD and pieces."""
        return self.words[len(SPECIALS) : self._whole]

    @property
    def piece_ids(self) -> range:
        """Ids of what is a part of a word and never one by itself."""
        return range(self._whole, len(self.words))

    @property
    def spells_freely(self) -> bool:
        """May any place of a text be spelled, as where most entries are pieces?

        Else only words that are asked for: positions are drawn side by side, and pieces that were
        drawn so make words that nobody knows.
        """
        return self.pieces and len(self.piece_ids) > len(self.plain_words)

    def goes_on(self, id_: int) -> bool:
        """Is this the piece of a word that began before it?"""
        return self._goes_on(self.words[id_])

    def _goes_on(self, entry: str) -> bool:
        return self.pieces and entry.startswith(CONTINUES)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        """Is it a whole word?"""
        return isinstance(word, str) and self._ids.get(normal(word), self._whole) < self._whole

    def id(self, word: str) -> int:
        """Id of `word`, or of UNK if it is no whole word of the vocabulary; marks are no words."""
        found = self._ids.get(normal(word), self.unk)
        return found if found < self._whole else self.unk

    def spell(self, word: str) -> tuple[int, ...]:
        """Ids of a word: its own, those of its pieces, or UNK."""
        word = normal(word)
        found = self._ids.get(word, self._whole)
        if found < self._whole:
            return (found,)
        if not self.pieces or word.startswith(CONTINUES):
            return (self.unk,)
        return tuple(token.id for token in self.tokenizer.model.tokenize(word))

    def writes(self, word: str) -> bool:
        """Can it hold or spell the word?"""
        return self.unk not in self.spell(word)

    def ways(self, word: str) -> list[tuple[int, int, int]]:
        """All ways to spell a word, not `spell`'s alone, since a text may have any of them.

        Returns:
            steps (first character, id, the character after it) that lie on a way through the word.
        """
        word = normal(word)
        if not self.pieces:
            return [(0, self.id(word), len(word))] if word in self else []
        steps, reached = list[tuple[int, int, int]](), {0}
        for start in range(len(word)):
            if start not in reached:
                continue
            for end in range(start + 1, len(word) + 1):
                found = self._ids.get((CONTINUES if start else "") + word[start:end], self.unk)
                if found != self.unk and self.goes_on(found) == bool(start):
                    steps.append((start, found, end))
                    reached.add(end)
        through, last = list[tuple[int, int, int]](), {len(word)}
        for start, found, end in reversed(steps):  # ends lie behind starts
            if end in last:
                through.append((start, found, end))
                last.add(start)
        return through[::-1]

    @property
    def whole(self) -> Vocab:
        """The same entries, of which a text has whole words alone: nothing is spelled."""
        words = copy.copy(self)
        words.pieces = False
        return words

    @property
    def start(self) -> int:
        """Id of START."""
        return 0

    @property
    def end(self) -> int:
        """Id of END."""
        return 1

    @property
    def unk(self) -> int:
        """Id of UNK."""
        return 2

    @property
    def pad(self) -> int:
        """Id of PAD."""
        return 3

    def unknown(self, text: str) -> list[str]:
        """The words of `text` that it can neither hold nor spell, each once, in their order."""
        words = dict.fromkeys(normal(text).split())
        return [word for word in words if not self.writes(word)]

    def encode(self, text: str, strict: bool = False) -> list[int]:
        """Ids of the whitespace-separated words of `text`, one a word unless it is spelled.

        Args:
            text: words with whitespace between them.
            strict: refuse unknown words, which become UNK otherwise.

        Raises:
            UsageError: `strict`, and the vocabulary lacks a word; the nearest is named.
        """
        if strict and (lacking := self.unknown(text)):
            others = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            raise UsageError(
                f"the vocabulary has no word '{lacking[0][:40]}'{others}",
                did_you_mean(lacking[0][:40], self.plain_words),
            )
        return [id_ for word in normal(text).split() for id_ in self.spell(word)]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` for many texts."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        """Words of `ids` joined by spaces, START, END and PAD left out."""
        return " ".join(self.tokens(ids))

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """Words of `ids`, START, END and PAD left out."""
        return [word for word, _ in self.placed(ids)]

    def placed(self, ids: Iterable[int]) -> list[tuple[str, list[int]]]:
        """`tokens`, each with the places of its ids: several of a word that is spelled."""
        silent = {self.start, self.end, self.pad}
        words: list[tuple[str, list[int]]] = []
        for place, id_ in enumerate(ids):
            entry = self.words[id_]
            if id_ in silent:
                continue
            if words and self._goes_on(entry):
                word, places = words[-1]
                words[-1] = word + entry.removeprefix(CONTINUES), [*places, place]
            else:
                words.append((entry, [place]))
        return words


def _learn_pieces(counts: Counter[str], kept: Sequence[str], pieces: int) -> list[str]:
    """Pieces for the words that are not kept: those that go on a word, then those that begin one.

    Raises:
        UsageError: the words have more characters than there may be pieces.
    """
    rare = sorted(counts.keys() - set(kept))
    # given in their order, or equal counts would be told apart by chance
    alphabet = sorted({c for word in rare for c in word[:1]})
    alphabet += sorted({CONTINUES + c for word in rare for c in word[1:]})
    learner = Tokenizer(models.WordPiece({}, unk_token=SPECIALS[2]))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(
        vocab_size=pieces, show_progress=False, continuing_subword_prefix=CONTINUES,
        special_tokens=alphabet, min_frequency=_FEWEST,
    )  # fmt: skip
    learner.train_from_iterator((" ".join([word] * counts[word]) for word in rare), trainer)
    found = learner.get_vocab()
    if len(found) > pieces:
        raise UsageError(
            f"key 'pieces': {pieces}, but the words that are to be spelled have "
            f"{len(found)} characters, as beginnings and as what goes on",
            f"pieces = {2 * len(found)}, or leave out texts in other scripts",
        )
    new = sorted(found.keys() - set(kept), key=lambda piece: (found[piece], piece))
    going_on = [piece for piece in new if piece.startswith(CONTINUES)]
    return going_on + [piece for piece in new if not piece.startswith(CONTINUES)]
