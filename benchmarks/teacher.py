"""The fluency judge: a small autoregressive GPT-2 over dlm's own words (the paper's lm-score).

    export DLM_SHARED=...                                 # holds data/e2e/{train,valid}.csv.gz
    python benchmarks/teacher.py train --out TEACHER      # about 20 minutes on one CPU core
    python benchmarks/teacher.py score --teacher TEACHER samples.jsonl
    python benchmarks/teacher.py score --teacher TEACHER --sample 500 e2e:valid.csv.gz

A text is scored as START words END; words the teacher does not know count as UNK, a token it was
trained on. lm-score: the mean token NLL (nats; tokens are the words and END) of each text, then
the mean over texts. Its exp is a perplexity per word, not per BPE piece: do not compare it with
the paper's tables.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dlm_core.corpora import READERS, read_corpus
from dlm_core.errors import DLMError, MissingError, UsageError
from dlm_core.training.data import LengthBatches, collate
from dlm_core.vocab import Vocab

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

SCORE_TOKENS = 4000  # positions in one scoring batch: logits stay within 15 MB


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


class Teacher:
    """An autoregressive word LM that scores texts."""

    def __init__(self, model: GPT2LMHeadModel, vocab: Vocab) -> None:
        """Pair a GPT-2 with the vocabulary that its embeddings stand for."""
        self.model = model
        self.vocab = vocab

    @classmethod
    def load(cls, folder: str | Path) -> Teacher:
        """Read a teacher that `train` wrote.

        Raises:
            MissingError: the folder holds none.
        """
        from transformers import GPT2LMHeadModel

        vocab = Vocab.load(Path(folder) / "tokenizer.json")
        try:
            model = GPT2LMHeadModel.from_pretrained(folder, use_safetensors=True)
        except (OSError, ValueError) as error:
            raise MissingError(
                f"cannot read the teacher {folder}: {str(error).splitlines()[0]}"
            ) from error
        if model.config.vocab_size != len(vocab):
            raise MissingError(
                f"teacher {folder}: {model.config.vocab_size} embeddings for {len(vocab)} words"
            )
        return cls(model.eval(), vocab)

    def save(self, folder: Path) -> None:
        """Write config, safetensors weights and tokenizer.json into `folder`."""
        self.model.save_pretrained(folder)
        self.vocab.save(folder / "tokenizer.json")

    def nll(self, texts: Sequence[str]) -> list[float]:
        """Mean negative log-likelihood of each text, in nats per token (words and END)."""
        return [total / tokens for total, tokens in self._totals(texts)]

    def summary(self, texts: Sequence[str]) -> Score:
        """lm-score of a set of texts.

        Raises:
            UsageError: there are no texts, or one is too long for the teacher.
        """
        if not texts:
            raise UsageError("no texts to score")
        totals = self._totals(texts)
        nll = sum(total / tokens for total, tokens in totals) / len(totals)
        tokens = sum(n for _, n in totals)
        return Score(len(totals), tokens, nll, math.exp(nll), sum(t for t, _ in totals) / tokens)

    @torch.inference_mode()
    def _totals(self, texts: Sequence[str]) -> list[tuple[float, int]]:
        """Summed NLL (nats) and number of tokens of each text."""
        sequences = encode(texts, self.vocab)
        limit = self.model.config.n_positions
        for i, sequence in enumerate(sequences):
            if len(sequence) > limit:
                raise UsageError(
                    f"text {i + 1} has {len(sequence) - 2} words; the teacher reads {limit - 2}"
                )
        self.model.eval()
        totals = [(0.0, 1)] * len(sequences)
        for rows in _by_length(sequences, SCORE_TOKENS):
            losses, lengths = token_losses(self.model, [sequences[i] for i in rows], self.vocab.pad)
            sums = zip(losses.sum(1).tolist(), lengths.tolist(), strict=True)
            for i, (total, length) in zip(rows, sums, strict=True):
                totals[i] = (total, length - 1)  # START is given, not scored
        return totals


def encode(texts: Sequence[str], vocab: Vocab) -> list[list[int]]:
    """START words END of each text."""
    return [[vocab.start, *ids, vocab.end] for ids in vocab.encode_batch(texts)]


def token_losses(
    model: GPT2LMHeadModel, sequences: Sequence[Sequence[int]], pad: int
) -> tuple[Tensor, Tensor]:
    """NLL (nats) of every token after the first, 0 at padding: (B, L - 1), and lengths (B,)."""
    tokens, lengths = collate(sequences, pad)
    # Padding stands on the right of a causal model, so it needs no attention mask.
    logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
    losses = F.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none")
    real = torch.arange(1, tokens.shape[1]) < lengths[:, None]
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


def learning_rate(step: int, steps: int, peak: float, warmup: int) -> float:
    """Linear warm-up over `warmup` steps, then a cosine to zero at `steps`; `step` is from 0."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def train(options: argparse.Namespace) -> None:
    """Train a teacher from scratch and keep the weights of the best validation NLL."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(options.seed)
    texts = [e.text for e in read_corpus(options.corpus)]
    held_out = [e.text for e in read_corpus(options.valid)]
    vocab = Vocab.build(texts)
    sequences = encode(texts, vocab)
    fitting = [s for s in sequences if len(s) <= options.positions]
    if len(fitting) < len(sequences):
        say(f"left out {len(sequences) - len(fitting)} texts of over {options.positions - 2} words")
    batches = LengthBatches(fitting, options.batch_tokens, options.seed)
    steps = options.steps or math.ceil(options.epochs * batches.batches_per_epoch)
    warmup = min(200, max(1, steps // 10))
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(vocab),
            n_positions=options.positions,
            n_embd=options.width,
            n_layer=options.layers,
            n_head=options.heads,
            resid_pdrop=options.dropout,
            embd_pdrop=options.dropout,
            attn_pdrop=options.dropout,
            bos_token_id=vocab.start,
            eos_token_id=vocab.end,
        )
    )
    size = sum(p.numel() for p in model.parameters())
    say(f"{len(fitting)} texts, {len(vocab)} words, {size:,} parameters, {steps} steps")
    teacher = Teacher(model, vocab)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=0.01)
    settings = {k: v for k, v in vars(options).items() if isinstance(v, int | float)}
    best, since, began, window = math.inf, 0, time.perf_counter(), [0.0, 0.0]
    for step in range(steps):
        model.train()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, options.lr, warmup)
        losses, lengths = token_losses(model, batches[step], vocab.pad)
        tokens = int(lengths.sum()) - len(lengths)
        loss = losses.sum() / tokens
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        window[0] += float(loss.detach()) * tokens
        window[1] += tokens
        done = step + 1
        if done % 50 == 0 or done == steps:
            spent = time.perf_counter() - began
            say(
                f"step {done}/{steps}  train nll {window[0] / window[1]:.4f}  "
                f"{spent:.0f} s, {spent / done * (steps - done):.0f} s left"
            )
            window = [0.0, 0.0]
        if done % batches.batches_per_epoch == 0 or done == steps:
            score = teacher.summary(held_out)
            say(f"step {done}  valid nll {score.token_nll:.4f} a token, {score.nll:.4f} a text")
            since += 1
            if score.token_nll < best:
                best, since = score.token_nll, 0
                teacher.save(options.out)
                log = {"parameters": size, "step": done, "steps": steps, "valid": asdict(score)}
                log |= {"seconds": round(time.perf_counter() - began), "settings": settings}
                (options.out / "training.json").write_text(json.dumps(log, indent=2) + "\n")
            if since == 2:  # two epochs without gain
                say("validation NLL no longer falls: stopping")
                break
    print(json.dumps({"teacher": str(options.out), "parameters": size, "valid_token_nll": best}))


def score_file(options: argparse.Namespace) -> None:
    """Score a file of texts; one JSON object on stdout, or one a text with `--each`."""
    name: str = options.file
    if name.partition(":")[0] not in READERS:
        plain = name.removesuffix(".gz")
        name = ("jsonl:" if plain.endswith((".jsonl", ".json")) else "text:") + name
    texts = [e.text for e in read_corpus(name)]
    if options.sample and options.sample < len(texts):
        texts = random.Random(options.seed).sample(texts, options.sample)
    teacher = Teacher.load(options.teacher)
    if options.each:
        for text, nll in zip(texts, teacher.nll(texts), strict=True):
            print(json.dumps({"text": text, "nll": round(nll, 4)}, ensure_ascii=False))
    else:
        print(json.dumps(asdict(teacher.summary(texts))))


def say(message: str) -> None:
    """One line of progress on stderr."""
    print(message, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    shared = os.environ.get("DLM_SHARED")

    def corpus(file: str) -> dict[str, object]:
        default = f"e2e:{shared}/data/e2e/{file}" if shared else None
        return {"metavar": "READER:PATH", "default": default, "required": default is None}

    sub = commands.add_parser(
        "train",
        help="train a teacher from scratch",
        description=train.__doc__,
        epilog="example: train --corpus e2e:train.csv.gz --valid e2e:valid.csv.gz --out TEACHER",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    sub.add_argument("--corpus", help="training texts", **corpus("train.csv.gz"))  # type: ignore[arg-type]
    sub.add_argument("--valid", help="held-out texts", **corpus("valid.csv.gz"))  # type: ignore[arg-type]
    sub.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder to write")
    sub.add_argument("--epochs", type=float, default=5.0, help="passes over the corpus")
    sub.add_argument("--steps", type=int, help="optimizer steps; overrides --epochs")
    sub.add_argument("--layers", type=int, default=4, help="transformer blocks")
    sub.add_argument("--width", type=int, default=192, help="hidden size")
    sub.add_argument("--heads", type=int, default=4, help="attention heads")
    sub.add_argument("--positions", type=int, default=128, help="longest START words END")
    sub.add_argument("--dropout", type=float, default=0.1, help="everywhere")
    sub.add_argument("--lr", type=float, default=1e-3, help="peak learning rate")
    sub.add_argument("--batch-tokens", type=int, default=2000, help="positions in a batch")
    sub.add_argument("--seed", type=int, default=0, help="of weights, order and dropout")
    sub.add_argument("--threads", type=int, default=1, help="CPU threads")
    sub.set_defaults(run=train)

    sub = commands.add_parser(
        "score",
        help="score a file of texts",
        description=score_file.__doc__,
        epilog="example: teacher.py score --teacher TEACHER samples.jsonl",
    )
    sub.add_argument("file", metavar="FILE", help="texts, one a line; JSONL; or READER:PATH")
    sub.add_argument("--teacher", metavar="DIR", type=Path, required=True, help="what train wrote")
    sub.add_argument("--sample", type=int, metavar="N", help="score N texts drawn at random")
    sub.add_argument("--seed", type=int, default=0, help="of --sample")
    sub.add_argument("--each", action="store_true", help="one JSON line a text, not the means")
    sub.add_argument("--threads", type=int, default=1, help="CPU threads")
    sub.set_defaults(run=score_file)
    return parser


def main() -> int:
    """Run a sub-command; the exit code is dlm's."""
    options = _parser().parse_args()
    torch.set_num_threads(options.threads)
    try:
        options.run(options)
    except DLMError as error:
        say(f"error: {error.message}" + (f" ({error.hint})" if error.hint else ""))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
