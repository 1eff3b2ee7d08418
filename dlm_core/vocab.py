"""The word vocabulary: START, END, UNK, PAD and every word seen more than `min_count` times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers

from dlm_core.errors import MissingError

START, END, UNK, PAD = "START", "END", "UNK", "PAD"
SPECIALS = (START, END, UNK, PAD)


class Vocab:
    """A word-level vocabulary kept in a Hugging Face `Tokenizer`.

    Words are whatever whitespace separates: the corpora are tokenised already.
    Ids 0..3 are START, END, UNK and PAD, as in the released Diffusion-LM.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        ids = tokenizer.get_vocab(with_added_tokens=True)
        self.words: list[str] = sorted(ids, key=ids.__getitem__)
        self._ids = ids
        if tuple(self.words[: len(SPECIALS)]) != SPECIALS:
            raise MissingError(
                f"not a dlm vocabulary: entries 0..3 are {self.words[:4]}, expected {SPECIALS}"
            )

    @classmethod
    def build(cls, texts: Iterable[str], min_count: int = 10) -> Vocab:
        """Keep words seen more than `min_count` times (the paper's rule, peers.md §1.3).

        On the E2E training set `min_count=10` gives 821 entries.
        """
        counts = Counter(word for text in texts for word in text.split())
        kept = sorted(
            (w for w, n in counts.items() if n > min_count), key=lambda w: (-counts[w], w)
        )
        entries = [*SPECIALS, *(w for w in kept if w not in SPECIALS)]
        tokenizer = Tokenizer(
            models.WordLevel({w: i for i, w in enumerate(entries)}, unk_token=UNK)
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
        except MissingError:
            raise
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
        return word in self._ids

    def id(self, word: str) -> int:
        """Id of `word`, or of UNK if it is not in the vocabulary."""
        return self._ids.get(word, self.unk)

    @property
    def start(self) -> int:
        """Id of START."""
        return self._ids[START]

    @property
    def end(self) -> int:
        """Id of END."""
        return self._ids[END]

    @property
    def unk(self) -> int:
        """Id of UNK."""
        return self._ids[UNK]

    @property
    def pad(self) -> int:
        """Id of PAD."""
        return self._ids[PAD]

    def encode(self, text: str) -> list[int]:
        """Ids of the whitespace-separated words of `text`; unknown words become UNK."""
        return [self.id(word) for word in text.split()]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` for many texts, in parallel."""
        return [e.ids for e in self.tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    def decode(self, ids: Iterable[int]) -> str:
        """Words of `ids` joined by spaces, START, END and PAD left out."""
        return " ".join(self.tokens(ids))

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """Words of `ids`, START, END and PAD left out."""
        silent = {self.start, self.end, self.pad}
        return [self.words[i] for i in ids if i not in silent]
