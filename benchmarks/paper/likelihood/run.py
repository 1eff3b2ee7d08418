"""The likelihood models of Table 7 on any corpus: diffusion over one-hot words (App. F), a GPT-2.

    export DLM_SHARED=...                                 # holds data/e2e/{train,valid}.csv.gz
    python benchmarks/paper/likelihood/run.py train --out LIKELIHOOD
    python benchmarks/paper/likelihood/run.py bound LIKELIHOOD --teacher TEACHER

`bound` prints JSON: the variational bound on -log p of held-out texts in nats a token, with its
parts and intervals over texts, and beside it the exact figure of the teacher on the same texts.
Tokens are the words and one END a text, as for the teacher. The diffusion model has no END: the
number of words n has its own distribution,

    -log p(text) <= -log p(n) + bound on -log p(words | n) .

It cannot generate with dlm and no control steers it: it serves this comparison alone, which
`python -m benchmarks.paper 7` makes on E2E.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from benchmarks.command import e2e, run, say
from benchmarks.paper.likelihood.fitted import MAX_LEN, Fitted, figures, fit, nats
from dlm_core.config import TrainConfig
from dlm_core.corpora import read_corpus
from dlm_core.errors import UsageError
from dlm_core.evaluation.teacher import Teacher

SIZE = ("hidden", "layers", "heads", "dropout", "first", "last", "output_prior", "near")
TRAINING = ("max_steps", "lr", "muon_lr", "optimizer", "batch_tokens", "seed")


def train_model(options: argparse.Namespace) -> None:
    """Train a likelihood model and write it into a folder."""
    texts = [e.text for e in read_corpus(options.corpus)]
    settings, training = (
        {name: getattr(options, name) for name in names} for names in (SIZE, TRAINING)
    )
    fitted = fit(texts, settings, TrainConfig(**training), say)
    fitted.save(options.out)
    print(json.dumps({"model": str(options.out), **fitted.told["train"]}))


def measure(options: argparse.Namespace) -> None:
    """The bound of a trained model on held-out texts, and the exact figure of a teacher."""
    fitted = Fitted.load(options.model)
    texts = [e.text for e in read_corpus(options.valid)]
    texts = [text for text in texts if 0 < len(text.split()) <= MAX_LEN]
    if options.texts and options.texts < len(texts):
        texts = random.Random(options.seed).sample(texts, options.texts)
    ids = fitted.ids(texts)
    found = figures(nats(fitted, ids, options.draws, options.seed), ids)
    report: dict[str, Any] = {"texts": len(ids), "tokens": sum(len(text) + 1 for text in ids)}
    report["diffusion"] = {name: figure.as_dict() for name, figure in found.items()}
    report["train"] = fitted.told["train"]
    if options.teacher is not None:
        teacher = Teacher.load(options.teacher)
        if teacher.vocab.words != fitted.vocab.words:
            raise UsageError(f"--teacher: {options.teacher} has other words: nats do not compare")
        exact = teacher.summary(texts).token_nll
        report["autoregressive"] = {"exact": exact, "parameters": teacher.model.num_parameters()}
        report["gap"] = found["bound"].value - exact
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
    sub.add_argument("--steps", dest="max_steps", type=int, default=4000, help="optimizer steps")
    sub.add_argument("--hidden", type=int, default=192, help="width of the Transformer")
    sub.add_argument("--layers", type=int, default=4, help="its blocks")
    sub.add_argument("--heads", type=int, default=4, help="attention heads")
    sub.add_argument("--dropout", type=float, default=0.0, help="in its blocks")
    sub.add_argument("--gamma-0", dest="first", type=float, default=-4.0, help="-log SNR at t = 0")
    sub.add_argument("--gamma-1", dest="last", type=float, default=6.0, help="-log SNR at t = 1")
    sub.add_argument(
        "--output-prior", action=argparse.BooleanOptionalAction, default=True,
        help="what a word's own noised vector says is added to the logits in closed form; without, "
        "the net must learn it, as in the paper",
    )  # fmt: skip
    sub.add_argument("--near", type=int, default=5, help="words the input mixes, odd; 0: none")
    sub.add_argument("--lr", type=float, default=3e-3, help="peak learning rate of AdamW")
    sub.add_argument("--muon-lr", type=float, default=0.02, help="that of Muon")
    sub.add_argument("--optimizer", choices=("adamw", "muon"), default="muon", help="of the blocks")
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
