"""A language model over dlm's words, and texts drawn from any model of the next word.

Shapes: B texts, i words so far, V words of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import GPT2LMHeadModel

from dlm_core.diffusion.noise import PerSampleNoise
from dlm_core.errors import UsageError
from dlm_core.vocab import Vocab

NextWord = Callable[[Tensor], Tensor]
"""(B, i) ids of the words so far -> (B, V) log p of the next, END among them."""
MOST_WORDS = 64


@dataclass(frozen=True, eq=False)
class WordLM:
    """A GPT-2 whose first ids are dlm's words; ids behind them are codes of controls."""

    model: GPT2LMHeadModel
    vocab: Vocab

    def after(self, given: Sequence[int]) -> NextWord:
        """log p(next word | given, START, words so far).

        START, PAD and UNK are no words of a text, and a text has a word before its END.

        Raises:
            UsageError: what is given leaves no room for `MOST_WORDS` words.
        """
        vocab = self.vocab
        before = torch.tensor([[*given, vocab.start]])
        if before.shape[1] + MOST_WORDS > self.model.config.n_positions:
            raise UsageError(
                f"{len(given)} codes of a control and {MOST_WORDS} words: the model has "
                f"{self.model.config.n_positions} positions",
                "train it with more: --positions",
            )

        @torch.no_grad()
        def next_word(words: Tensor) -> Tensor:
            ids = torch.cat([before.expand(len(words), -1), words], 1)
            logits = self.model(input_ids=ids, use_cache=False, logits_to_keep=1).logits[:, -1]
            return F.log_softmax(no_marks(logits[:, : len(vocab)], vocab, words.shape[1]), -1)

        return next_word


def no_marks(logits: Tensor, vocab: Vocab, written: int) -> Tensor:
    """Logits (B, V) of the words a text can go on with, -inf elsewhere."""
    out = logits.clone()
    out[:, [vocab.start, vocab.unk, vocab.pad]] = -torch.inf
    if written == 0:
        out[:, vocab.end] = -torch.inf
    return out


def draw(
    next_word: NextWord, seeds: Sequence[int], end: int, most: int = MOST_WORDS
) -> list[list[int]]:
    """A text a seed, drawn word by word until END, which is left out.

    Text i depends on seeds[i] and on no other text.
    """
    noise = PerSampleNoise(seeds, "words")
    words = torch.empty(len(seeds), 0, dtype=torch.long)
    ended = torch.zeros(len(seeds), dtype=torch.bool)
    while words.shape[1] < most and not bool(ended.all()):
        log_p = next_word(words)
        word = (log_p + noise.gumbel(log_p.shape[1])).argmax(-1)
        word[ended] = end
        ended |= word == end
        words = torch.cat([words, word[:, None]], 1)
    return [row[: row.index(end)] if end in row else row for row in words.tolist()]


def texts_of(rows: Sequence[Sequence[int]], vocab: Vocab) -> list[str]:
    """Words with blanks between them."""
    return [vocab.decode(row) for row in rows]
