"""`dlm train teacher` and `dlm score` under the names that older command lines have.

    export DLM_SHARED=...                                 # holds data/e2e/{train,valid}.csv.gz
    python benchmarks/teacher.py train --out TEACHER      # about 20 minutes on one CPU core
    python benchmarks/teacher.py score --teacher TEACHER samples.jsonl
    python benchmarks/teacher.py score --teacher TEACHER --sample 500 e2e:valid.csv.gz

Figures go to stdout as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.command import e2e, run
from dlm_cli.evaluate.texts import read_texts, some
from dlm_cli.train import teacher
from dlm_core.corpora import read_corpus
from dlm_core.evaluation.teacher import Teacher
from dlm_core.evaluation.teacher_training import TeacherConfig


def train(options: argparse.Namespace) -> None:
    """Train a teacher from scratch and keep the weights of the best validation NLL."""
    texts, held_out = ([e.text for e in read_corpus(c)] for c in (options.corpus, options.valid))
    names = TeacherConfig.model_fields.keys() & vars(options).keys()
    config = TeacherConfig(**{name: getattr(options, name) for name in names})
    best = teacher.run((texts, held_out), options.out, config, "cpu")
    print(json.dumps({"teacher": str(options.out), "valid_token_nll": best.token_nll}))


def score_file(options: argparse.Namespace) -> None:
    """Score a file of texts; one JSON object on stdout, or one a text with `--each`."""
    texts = some(read_texts(options.file), options.sample, options.seed)
    judge = Teacher.load(options.teacher)
    if options.each:
        for text, nll in zip(texts, judge.nll(texts), strict=True):
            print(json.dumps({"text": text, "nll": round(nll, 4)}, ensure_ascii=False))
    else:
        print(json.dumps(asdict(judge.summary(texts))))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    sub = commands.add_parser(
        "train",
        help="train a teacher from scratch",
        description=train.__doc__,
        epilog="example: train --corpus e2e:train.csv.gz --valid e2e:valid.csv.gz --out TEACHER",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    sub.add_argument("--corpus", help="training texts", **e2e("train"))
    sub.add_argument("--valid", help="held-out texts", **e2e("valid"))
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


if __name__ == "__main__":
    sys.exit(run(_parser()))
