"""The word vocabulary: START, END, UNK, PAD and every word seen more than `min_count` times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers

from dlm_core.errors import MissingError, UsageError, did_you_mean
from dlm_core.text import normal

START, END, UNK, PAD = "START", "END", "UNK", "PAD"
SPECIALS = (START, END, UNK, PAD)
"""The marks, as people see them."""
_APART = tuple(f" {mark}" for mark in SPECIALS)
"""How `tokenizer.json` spells them where a corpus has such words: no word begins with a blank."""


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
        self._ids = {word: ids[word] for word in words}
        for word in words:  # a vocabulary of before may hold them otherwise
            self._ids.setdefault(normal(word), ids[word])

    @classmethod
    def build(cls, texts: Iterable[str], min_count: int = 10) -> Vocab:
        """Keep words seen more than `min_count` times (the paper's rule, peers.md §1.3).

        On the E2E training set `min_count=10` gives 821 entries.
        """
        counts = Counter(word for text in texts for word in normal(text).split())
        kept = sorted(
            (w for w, n in counts.items() if n > min_count), key=lambda w: (-counts[w], w)
        )
        marks = SPECIALS if counts.keys().isdisjoint(SPECIALS) else _APART
        entries = [*marks, *kept]
        tokenizer = Tokenizer(
            models.WordLevel({w: i for i, w in enumerate(entries)}, unk_token=marks[2])
        )
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
        """The words without START, END, UNK and PAD: what a text can consist of."""
        return self.words[len(SPECIALS) :]

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and normal(word) in self._ids

    def id(self, word: str) -> int:
        """Id of `word`, or of UNK if it is not in the vocabulary; marks are no words."""
        return self._ids.get(normal(word), self.unk)

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
        """The words of `text` that the vocabulary lacks, each once, in the order of the text."""
        return list(dict.fromkeys(w for w in normal(text).split() if w not in self._ids))

    def encode(self, text: str, strict: bool = False) -> list[int]:
        """Ids of the whitespace-separated words of `text`.

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
        return [self._ids.get(word, self.unk) for word in normal(text).split()]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` for many texts."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        """Words of `ids` joined by spaces, START, END and PAD left out."""
        return " ".join(self.tokens(ids))

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """Words of `ids`, START, END and PAD left out."""
        silent = {self.start, self.end, self.pad}
        return [self.words[i] for i in ids if i not in silent]
