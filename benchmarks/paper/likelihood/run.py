"""Table 7 at this machine's scale: a diffusion model over one-hot words (App. F) and a GPT-2.

    export DLM_SHARED=...                                 # holds data/e2e/{train,valid}.csv.gz
    python benchmarks/paper/likelihood/run.py train --out LIKELIHOOD
    python benchmarks/paper/likelihood/run.py bound LIKELIHOOD --teacher TEACHER

`bound` prints JSON: the variational bound on -log p of held-out texts in nats a token, with its
parts and the standard error of its estimate, and beside it the exact figure of the teacher
(`benchmarks/teacher.py`) on the same texts. Tokens are the words and one END a text, as for the
teacher. The diffusion model has no END: the number of words n has its own distribution,

    -log p(text) <= -log p(n) + bound on -log p(words | n) .

It cannot generate with dlm and no control steers it: it serves this comparison alone.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from benchmarks.command import e2e, run, say
from benchmarks.paper.likelihood.bound import bound, even_times
from benchmarks.paper.likelihood.model import LikelihoodModel
from benchmarks.paper.likelihood.training import train
from dlm_core.corpora import read_corpus
from dlm_core.errors import MissingError, UsageError
from dlm_core.evaluation.teacher import Teacher
from dlm_core.training.data import collate
from dlm_core.vocab import Vocab
from dlm_core.weights import read_weights, write_weights

WEIGHTS, CONFIG, WORDS = "model.safetensors", "config.json", "tokenizer.json"
TOGETHER = 64  # texts in one batch of the evaluation: one-hot vectors take 4 V bytes a word


def train_model(options: argparse.Namespace) -> None:
    """Train a likelihood model and write it into a folder."""
    torch.manual_seed(options.seed)
    texts = [e.text for e in read_corpus(options.corpus)]
    vocab = Vocab.build(texts)
    ids = fitting(texts, vocab, options.max_len)
    counts = torch.bincount(torch.tensor([w for text in ids for w in text]), minlength=len(vocab))
    lengths = torch.bincount(torch.tensor([len(t) for t in ids]), minlength=options.max_len + 1)
    settings = {key: getattr(options, key) for key in ("hidden", "layers", "heads", "dropout")}
    settings |= {"first": options.gamma_0, "last": options.gamma_1}
    settings["output_prior"] = options.output_prior
    model = LikelihoodModel(counts, lengths, **settings)
    size = sum(p.numel() for p in model.parameters())
    say(f"{len(ids)} texts, {len(vocab)} words, {size:,} parameters, {options.steps} steps")
    began, recent = time.perf_counter(), list[float]()

    def on_step(step: int, nats: float) -> None:
        recent.append(nats)
        if step % 50 == 0 or step == options.steps:
            spent = time.perf_counter() - began
            say(f"step {step}/{options.steps}  {fmean(recent[-50:]):.3f} a word  {spent:.0f} s")

    training = {key: getattr(options, key) for key in ("steps", "lr", "batch_tokens", "seed")}
    train(model, ids, vocab.pad, on_step=on_step, **training)
    options.out.mkdir(parents=True, exist_ok=True)
    training |= {"seconds": round(time.perf_counter() - began), "parameters": size}
    config = {"model": settings, "max_len": options.max_len, "train": training}
    (options.out / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
    vocab.save(options.out / WORDS)
    write_weights(options.out / WEIGHTS, model.state_dict())
    print(json.dumps({"model": str(options.out), **training}))


def load(folder: Path) -> tuple[LikelihoodModel, Vocab, dict[str, Any]]:
    """What `train_model` wrote: the model, its words, its settings.

    Raises:
        MissingError: the folder holds none.
    """
    if not (folder / CONFIG).is_file():
        raise MissingError(f"no likelihood model in {folder}", "make one: run.py train --out DIR")
    config = json.loads((folder / CONFIG).read_text())
    vocab = Vocab.load(folder / WORDS)
    counts, lengths = torch.zeros(len(vocab)), torch.zeros(config["max_len"] + 1)
    model = LikelihoodModel(counts, lengths, **config["model"])
    model.load_state_dict(read_weights(folder / WEIGHTS))
    return model.eval(), vocab, config


def fitting(texts: Sequence[str], vocab: Vocab, max_len: int) -> list[list[int]]:
    """Ids of the texts of 1 to `max_len` words.

    Raises:
        UsageError: there are none.
    """
    ids = [ids for ids in vocab.encode_batch(texts) if 0 < len(ids) <= max_len]
    if not ids:
        raise UsageError(f"none of {len(texts)} texts has 1 to {max_len} words")
    return ids


@torch.no_grad()
def evaluate(
    model: LikelihoodModel, ids: Sequence[Sequence[int]], vocab: Vocab, draws: int, seed: int
) -> dict[str, float]:
    """The bound in nats a token, its parts, and the standard error over the draws."""
    generator = torch.Generator().manual_seed(seed)
    ids = sorted(ids, key=len)
    tokens_in_all = sum(len(text) + 1 for text in ids)
    of_lengths = -sum(float(model.log_lengths[len(text)]) for text in ids)
    sums, totals = dict.fromkeys(("prior", "reconstruction", "diffusion"), 0.0), list[float]()
    for _ in range(draws):
        # times are spread over all texts of a draw, in an order that has nothing to do with length
        times = even_times(len(ids), generator)[torch.randperm(len(ids), generator=generator)]
        totals.append(of_lengths)
        for start in range(0, len(ids), TOGETHER):
            tokens, lengths = collate(ids[start : start + TOGETHER], vocab.pad)
            t = times[start : start + TOGETHER]
            found = bound(model, model.schedule, tokens, lengths, len(vocab), t, generator)
            totals[-1] += float(found.total.sum())
            for name in sums:
                sums[name] += float(getattr(found, name).sum()) / draws
    parts = {"length": of_lengths, **sums}
    error = stdev(totals) / math.sqrt(draws) if draws > 1 else math.nan
    return {
        "bound": fmean(totals) / tokens_in_all,
        "standard_error": error / tokens_in_all,
        **{name: value / tokens_in_all for name, value in parts.items()},
    }


def measure(options: argparse.Namespace) -> None:
    """The bound of a trained model on held-out texts, and the exact figure of a teacher."""
    model, vocab, config = load(options.model)
    texts = [e.text for e in read_corpus(options.valid)]
    texts = [text for text in texts if 0 < len(text.split()) <= config["max_len"]]
    if options.texts and options.texts < len(texts):
        texts = random.Random(options.seed).sample(texts, options.texts)
    ids = fitting(texts, vocab, config["max_len"])
    report: dict[str, Any] = {"texts": len(ids), "tokens": sum(len(text) + 1 for text in ids)}
    report["diffusion"] = evaluate(model, ids, vocab, options.draws, options.seed)
    report["diffusion"] |= config["train"]
    if options.teacher is not None:
        teacher = Teacher.load(options.teacher)
        if teacher.vocab.words != vocab.words:
            raise UsageError(f"--teacher: {options.teacher} has other words: nats do not compare")
        size = sum(p.numel() for p in teacher.model.parameters())
        exact = teacher.summary(texts).token_nll
        report["autoregressive"] = {"exact": exact, "parameters": size}
        report["gap"] = report["diffusion"]["bound"] - exact
    print(json.dumps(report, indent=2))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    defaults = argparse.ArgumentDefaultsHelpFormatter
    sub = commands.add_parser("train", help="train a likelihood model", formatter_class=defaults)
    sub.add_argument("--corpus", help="training texts", **e2e("train"))
    sub.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder to write")
    sub.add_argument("--steps", type=int, default=4000, help="optimizer steps")
    sub.add_argument("--hidden", type=int, default=192, help="width of the Transformer")
    sub.add_argument("--layers", type=int, default=4, help="its blocks")
    sub.add_argument("--heads", type=int, default=4, help="attention heads")
    sub.add_argument("--dropout", type=float, default=0.0, help="in its blocks")
    sub.add_argument("--max-len", type=int, default=64, help="words of a text at most")
    sub.add_argument("--gamma-0", type=float, default=-5.0, help="-log SNR at t = 0")
    sub.add_argument("--gamma-1", type=float, default=7.5, help="-log SNR at t = 1")
    sub.add_argument(
        "--output-prior", action=argparse.BooleanOptionalAction, default=True,
        help="what a word's own noised vector says is added to the logits in closed form; without, "
        "the net must learn it, as in the paper",
    )  # fmt: skip
    sub.add_argument("--lr", type=float, default=1e-3, help="peak learning rate")
    sub.add_argument("--batch-tokens", type=int, default=2000, help="words in a batch")
    sub.set_defaults(run=train_model)
    sub = commands.add_parser("bound", help="evaluate the bound", formatter_class=defaults)
    sub.add_argument("model", metavar="DIR", type=Path, help="what train wrote")
    sub.add_argument("--valid", help="held-out texts", **e2e("valid"))
    sub.add_argument("--teacher", metavar="DIR", type=Path, help="what teacher.py train wrote")
    sub.add_argument("--texts", type=int, metavar="N", help="take N texts drawn at random")
    sub.add_argument("--draws", type=int, default=8, help="of time and noise for each text")
    sub.set_defaults(run=measure)
    for sub in commands.choices.values():
        sub.add_argument("--seed", type=int, default=0, help="of all that is drawn")
        sub.add_argument("--threads", type=int, default=1, help="CPU threads")
    return parser


if __name__ == "__main__":
    sys.exit(run(_parser()))
