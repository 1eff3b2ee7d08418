"""The fluency judge: a small autoregressive GPT-2 over dlm's own words (the paper's lm-score).

A text is scored as START words END; words the teacher does not know count as UNK, a token it was
trained on, unless its vocabulary spells them: then a word has the nats of its pieces together.
lm-score: the mean NLL a token (nats; tokens are the words and END) of each text, then the mean over
texts. Its exp is a perplexity a word, not a BPE piece: do not compare it with the paper's tables.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from dlm_core.commands import command
from dlm_core.config import AS_THEY_ARE, TextConfig
from dlm_core.errors import MissingError, UsageError
from dlm_core.text import load_json
from dlm_core.training.data import collate
from dlm_core.vocab import Vocab

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

SCORE_TOKENS = 4000
"""Positions in one scoring batch: logits stay within 15 MB."""
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Score:
    """What the teacher says of a set of texts.

    Attributes:
        texts: how many texts.
        tokens: how many scored tokens (words and ENDs).
        nll: lm-score: mean over texts of the mean token NLL, in nats.
        ppl: exp of `nll`.
        token_nll: mean NLL over all tokens pooled, in nats (long texts weigh more).
    """

    texts: int
    tokens: int
    nll: float
    ppl: float
    token_nll: float

    @classmethod
    def of(cls, totals: Sequence[tuple[float, int]]) -> Score:
        """From the summed NLL and number of tokens of each text.

        Raises:
            UsageError: there are none.
        """
        if not totals:
            raise UsageError("no texts to score")
        nll = sum(total / tokens for total, tokens in totals) / len(totals)
        tokens = sum(n for _, n in totals)
        return cls(len(totals), tokens, nll, math.exp(nll), sum(t for t, _ in totals) / tokens)


class Teacher:
    """An autoregressive word LM that scores texts."""

    def __init__(
        self,
        model: GPT2LMHeadModel,
        vocab: Vocab,
        digest: str = "",
        text: TextConfig = AS_THEY_ARE,
    ) -> None:
        """Pair a GPT-2 with the vocabulary that its embeddings stand for.

        `digest` names its weights in signatures; `text` says how its texts were prepared.
        """
        self.model = model
        self.vocab = vocab
        self.digest = digest
        self.text = text

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device = "cpu") -> Teacher:
        """Read a teacher that `dlm train teacher` wrote.

        Raises:
            MissingError: the folder holds none, or transformers is not installed.
        """
        folder = Path(folder).expanduser()
        check_teacher(folder)
        from transformers import GPT2LMHeadModel
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        vocab = Vocab.load(folder / "tokenizer.json")
        try:
            model = GPT2LMHeadModel.from_pretrained(
                folder, use_safetensors=True, local_files_only=True
            )
        except Exception as error:  # safetensors raises its own
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise MissingError(f"cannot read the teacher {folder}: {reason}") from error
        if model.config.vocab_size != len(vocab):
            raise MissingError(
                f"the teacher {folder} has {model.config.vocab_size} embeddings for "
                f"{len(vocab)} words"
            )
        digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()[:8]
        return cls(model.to(device).eval(), vocab, digest, _text(folder))  # type: ignore[arg-type]

    def save(self, folder: Path) -> None:
        """Write config, safetensors weights and tokenizer.json into `folder`."""
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self.model.save_pretrained(folder)
        self.vocab.save(folder / "tokenizer.json")

    @property
    def max_words(self) -> int:
        """Words, and pieces of words, of the longest text it reads."""
        return int(self.model.config.n_positions) - 2

    def too_long(self, texts: Sequence[str]) -> list[int]:
        """Places of the texts that it cannot read."""
        most = self.max_words
        return [i for i, ids in enumerate(self.vocab.encode_batch(texts)) if len(ids) > most]

    def nll(self, texts: Sequence[str]) -> list[float]:
        """Mean negative log-likelihood of each text, in nats a token (words and END)."""
        return [total / tokens for total, tokens in self.totals(texts)]

    def summary(self, texts: Sequence[str]) -> Score:
        """lm-score of a set of texts.

        Raises:
            UsageError: there are no texts, or one is too long for the teacher.
        """
        return Score.of(self.totals(texts))

    @torch.inference_mode()
    def totals(self, texts: Sequence[str]) -> list[tuple[float, int]]:
        """Summed NLL (nats) and number of tokens (words and END) of each text.

        Raises:
            UsageError: a text is too long for the teacher.
        """
        if long := self.too_long(texts):
            words = len(self.vocab.encode(texts[long[0]]))
            raise UsageError(
                f"text {long[0] + 1} has {words} words; the teacher reads {self.max_words}",
                "a teacher with more --positions reads longer texts",
            )
        self.model.eval()  # type: ignore[no-untyped-call]
        sequences = encode(texts, self.vocab)
        totals = [(0.0, 1)] * len(sequences)
        for rows in _by_length(sequences, SCORE_TOKENS):
            losses, _ = token_losses(self.model, [sequences[i] for i in rows], self.vocab.pad)
            for i, total in zip(rows, losses.sum(1).tolist(), strict=True):
                totals[i] = (total, len(texts[i].split()) + 1)  # START is given, not scored
        return totals

    @torch.inference_mode()
    def features(self, texts: Sequence[str]) -> Tensor:
        """What it knows of each text at its last word: its last hidden state there, (N, width)."""
        sequences = [sequence[:-1] for sequence in encode(texts, self.vocab)]
        out = torch.zeros(len(sequences), self.model.config.n_embd)
        for rows in _by_length(sequences, SCORE_TOKENS):
            tokens, lengths = collate([sequences[i] for i in rows], self.vocab.pad)
            hidden = self.model.transformer(tokens.to(self.model.device)).last_hidden_state
            out[rows] = hidden[torch.arange(len(rows)), lengths - 1].float().cpu()
        return out


def _text(folder: Path) -> TextConfig:
    """How its texts were prepared: of its settings, where it has kept them."""
    log = folder / "training.json"
    try:
        kept = load_json(log.read_bytes()) if log.is_file() else {}
    except (OSError, ValueError) as error:
        raise MissingError(f"cannot read {log}: {error}") from error
    return TextConfig.kept(kept.get("settings") if isinstance(kept, dict) else None, log)


def check_teacher(folder: Path) -> None:
    """The folder has a teacher's files, and transformers is installed.

    Raises:
        MissingError: says what to run.
    """
    if find_spec("transformers") is None:
        raise MissingError(
            "a teacher needs transformers, which is not installed", "pip install transformers"
        )
    for name in ("config.json", WEIGHTS, "tokenizer.json"):
        if not (folder / name).is_file():
            raise MissingError(
                f"no teacher in {folder} ({name} is missing)",
                command("train", "teacher", "--corpus", "READER:PATH", "--out", folder),
            )


def encode(texts: Sequence[str], vocab: Vocab) -> list[list[int]]:
    """START words END of each text."""
    return [[vocab.start, *ids, vocab.end] for ids in vocab.encode_batch(texts)]


def token_losses(
    model: GPT2LMHeadModel, sequences: Sequence[Sequence[int]], pad: int
) -> tuple[Tensor, Tensor]:
    """NLL (nats) of every token after the first, 0 at padding: (B, L - 1), and lengths (B,)."""
    tokens, lengths = (x.to(model.device) for x in collate(sequences, pad))
    # Padding stands on the right of a causal model, so it needs no attention mask.
    logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
    losses = F.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none")
    real = torch.arange(1, tokens.shape[1], device=lengths.device) < lengths[:, None]
    return losses * real, lengths


def _by_length(sequences: Sequence[Sequence[int]], batch_tokens: int) -> Iterator[list[int]]:
    """Indices of `sequences` in batches of like lengths: little padding."""
    batch: list[int] = []
    for i in sorted(range(len(sequences)), key=lambda i: len(sequences[i])):
        if batch and (len(batch) + 1) * len(sequences[i]) > batch_tokens:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
