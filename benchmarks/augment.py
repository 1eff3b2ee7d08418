"""What +Aug does for a small corpus: a Diffusion-LM of a tenth of E2E, and of it with samples.

    python -m benchmarks.augment --teacher TEACHER --minutes 30 --out augment

A language model is trained on the tenth (dlm train teacher), texts are sampled from it by
examples/augment.py, and the same net is trained for as many steps on the tenth alone and with the
samples. TEACHER, trained on all of E2E, judges the free texts of both: nats a token, distinct
bigrams and self-BLEU, copies of the tenth; beside them stand as many of E2E's own validation texts.
Prints JSON. How many steps the minutes are is found by a trial run; --steps gives them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from subprocess import run as call
from typing import Any

import torch

from benchmarks import command
from dlm_core.bundle import Model
from dlm_core.config import ModelConfig, TrainConfig
from dlm_core.corpora import read_corpus
from dlm_core.errors import MissingError
from dlm_core.evaluation.overlap import verbatim_share
from dlm_core.evaluation.teacher import Teacher
from dlm_core.evaluation.variety import distinct_n, self_bleu
from dlm_core.files import write_text
from dlm_core.generation.generate import generate
from dlm_core.training.loop import Trainer
from dlm_core.vocab import Vocab

TRIAL = 20
"""Steps by which the speed is measured."""
ROOT = Path(__file__).resolve().parents[1]


def run(options: argparse.Namespace) -> None:
    """Train both, and print figures of both."""
    options.out.mkdir(parents=True, exist_ok=True)
    texts = [e.text for e in read_corpus(options.corpus)][:: options.part]
    small, more = options.out / "small.jsonl", options.out / "more.jsonl"
    write_text(small, "".join(json.dumps({"text": text}) + "\n" for text in texts))
    if not more.exists():
        _dlm("train", "teacher", "--corpus", f"jsonl:{small}", "--valid", options.valid, "--out",
             options.out / "lm", "--epochs", options.epochs, "--force")  # fmt: skip
        add = [f"jsonl:{small}", "--lm", options.out / "lm", "--out", more, "-n", options.add]
        _python(ROOT / "examples" / "augment.py", *add, "--seed", options.seed)
    valid = [e.text for e in read_corpus(options.valid)]
    vocab = Vocab.build(texts)  # the same words, so that nothing but the texts differs
    judge = Teacher.load(options.teacher)
    rows: dict[str, Any] = {"E2E's own": figures(valid[: options.texts], texts, judge)}
    steps = options.steps or fitting(texts, valid, vocab, options)
    for name, corpus in (("a tenth", small), ("+Aug", more)):
        read = [e.text for e in read_corpus(f"jsonl:{corpus}")]
        command.say(f"{name}: {steps} steps on {len(read)} texts")
        trainer(steps, vocab, read, valid, options.out / corpus.stem, options).run()
        model = Model.load(str(options.out / corpus.stem))
        made = [r.tokenised for r in generate(model, None, options.texts, options.seed)]
        told = {"texts": len(read), "shown": made[:3]}
        rows[name] = told | figures(made, texts, judge)
    print(json.dumps({"steps": steps, "part": options.part, "rows": rows}, indent=1))


def fitting(
    texts: Sequence[str], valid: Sequence[str], vocab: Vocab, options: argparse.Namespace
) -> int:
    """The steps that fit into the minutes, by the speed of some."""
    trial = trainer(TRIAL, vocab, texts, valid, options.out / "trial", options)
    began = time.perf_counter()
    trial.run()
    return max(TRIAL, round(TRIAL * 60 * options.minutes / (time.perf_counter() - began)))


def trainer(
    steps: int,
    vocab: Vocab,
    texts: Sequence[str],
    valid: Sequence[str],
    out: Path,
    options: argparse.Namespace,
) -> Trainer:
    """The net of both rows, to be trained for so many steps."""
    shape = ModelConfig(vocab_size=len(vocab), hidden=options.hidden, layers=options.layers)
    config = TrainConfig(
        max_steps=steps, warmup_steps=min(200, steps // 10), eval_every=steps, save_every=steps,
        rollout_rate=0.5, seed=options.seed, model=shape,
    )  # fmt: skip
    return Trainer(config, vocab, texts, valid, out, torch.device("cpu"))


def figures(made: Sequence[str], corpus: Sequence[str], judge: Teacher) -> dict[str, float]:
    """What is said of free texts; those that are longer than the judge reads are left out."""
    read = [text for text in made if 0 < len(text.split()) <= judge.max_words]
    return {
        "lm": judge.summary(read).nll, "distinct2": distinct_n(read, 2),
        "self_bleu4": self_bleu(read), "copies": verbatim_share(read, corpus),
    }  # fmt: skip


def _dlm(*arguments: object) -> None:
    _python("-m", "dlm_cli", *arguments)


def _python(*arguments: object) -> None:
    """Run Python on these.

    Raises:
        MissingError: it fails.
    """
    done = call([sys.executable, *map(str, arguments)], cwd=ROOT, stdout=sys.stderr)
    if done.returncode:
        raise MissingError(f"{' '.join(map(str, arguments))} ended with {done.returncode}")


def main() -> int:
    """Run; the exit code is dlm's."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", help="training texts", **command.e2e("train"))
    parser.add_argument("--valid", help="held-out texts", **command.e2e("valid"))
    parser.add_argument("--teacher", type=Path, required=True, help="the judge, of all of E2E")
    parser.add_argument("--out", type=Path, required=True, help="folder of all that is made")
    parser.add_argument("--part", type=int, default=10, help="every so manieth text is kept")
    parser.add_argument("--add", type=int, default=20_000, help="texts to sample")
    parser.add_argument("--minutes", type=float, default=30.0, help="of each training")
    parser.add_argument("--steps", type=int, help="of each training, in place of the minutes")
    parser.add_argument("--epochs", type=float, default=15.0, help="of the language model")
    parser.add_argument("--texts", type=int, default=500, help="that are judged")
    parser.add_argument("--hidden", type=int, default=192, help="of the net")
    parser.add_argument("--layers", type=int, default=4, help="of the net")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.set_defaults(run=run)
    return command.run(parser)


if __name__ == "__main__":
    sys.exit(main())
