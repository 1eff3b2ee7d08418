"""`dlm train teacher`: the autoregressive judge of fluency."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlm_cli.files import expand
from dlm_cli.help import examples
from dlm_cli.options import Corpus, Device, Encoding, PluginFiles
from dlm_cli.output import pick_device, require_folder, stderr
from dlm_cli.train.bars import watching
from dlm_cli.train.lm import read_prepared
from dlm_core.commands import command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlm_core.evaluation.teacher import Score
    from dlm_core.evaluation.teacher_training import TeacherConfig
    from dlm_core.vocab import Vocab

EPILOG = examples(
    "dlm train teacher --corpus e2e:train.csv.gz --valid e2e:valid.csv.gz --out TEACHER",
    "dlm train teacher --corpus text:mine.txt --out TEACHER --layers 2 --epochs 3",
    "dlm train teacher --corpus text:mine.txt --out TEACHER --model mine",
    "dlm score text:mine.txt --teacher TEACHER",
)
_TRAINING = "Training"


def _option(help: str) -> Any:
    return typer.Option(metavar="NUMBER", help=help, rich_help_panel=_TRAINING)


Out = Annotated[
    Path,
    typer.Option(metavar="DIR", help="Folder to write.", callback=expand, rich_help_panel="Output"),
]
Valid = Annotated[
    str | None,
    typer.Option(
        metavar="READER:PATH",
        help="Validation texts; held out of --corpus if omitted.",
        rich_help_panel="Data",
    ),
]
Like = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="Words and preparation of the texts are this model's; in place of --min-count, "
        "--max-words, --pieces.",
        rich_help_panel=_TRAINING,
    ),
]
Replace = Annotated[
    bool,
    typer.Option("--force", metavar="", help="Replace a teacher there.", rich_help_panel="Output"),
]


def train_teacher(
    corpus: Corpus,
    out: Out,
    valid: Valid = None,
    encoding: Encoding = None,
    plugin: PluginFiles = None,
    epochs: Annotated[float, _option("Passes over the corpus.")] = 5.0,
    steps: Annotated[int | None, _option("Optimizer steps; overrides --epochs.")] = None,
    layers: Annotated[int, _option("Transformer blocks.")] = 4,
    width: Annotated[int, _option("Hidden size.")] = 192,
    heads: Annotated[int, _option("Attention heads.")] = 4,
    positions: Annotated[int, _option("Longest START words END.")] = 128,
    dropout: Annotated[float, _option("Everywhere.")] = 0.1,
    lr: Annotated[float, _option("Peak learning rate.")] = 1e-3,
    batch_tokens: Annotated[int, _option("Positions in a batch.")] = 2000,
    min_count: Annotated[int, _option("Words are kept that occur more often.")] = 10,
    max_words: Annotated[int | None, _option("The most frequent of them only.")] = None,
    pieces: Annotated[int, _option("Pieces to spell other words with; 0 leaves them UNK.")] = 0,
    model: Like = None,
    seed: Annotated[int, _option("Of weights, order and dropout.")] = 0,
    force: Replace = False,
    device: Device = "auto",
) -> None:
    """Train a teacher: transformers' GPT-2 from scratch on the words of a corpus.

    It judges fluency ('dlm evaluate --teacher', 'dlm score') and chooses
    ('--select lm:DIR'). The weights of the best validation are kept; two epochs
    without gain end the run.
    """
    from dlm_cli.plugins.loading import load
    from dlm_core.bundle import ModelInfo
    from dlm_core.config import TextConfig
    from dlm_core.errors import UsageError
    from dlm_core.evaluation.teacher_training import TeacherConfig

    if (out / "config.json").exists() and not force:
        raise UsageError(
            f"option '--out': {out} holds a model", "--force replaces it, or choose another folder"
        )
    require_folder(out, "--out")
    like = ModelInfo.read(model) if model is not None else None
    text = like.text if like is not None else TextConfig()
    read, text = read_prepared(text, corpus, valid, load(plugin).corpora, encoding)
    stderr(read.told)
    config = TeacherConfig(
        epochs=epochs, steps=steps, layers=layers, width=width, heads=heads, positions=positions,
        dropout=dropout, lr=lr, batch_tokens=batch_tokens, min_count=min_count,
        max_words=max_words, pieces=pieces, seed=seed, text=text,
    )  # fmt: skip
    vocab = like.vocab if like is not None else None
    texts = [e.text for e in read.train], [e.text for e in read.valid]
    run(texts, out, config, pick_device(device), vocab)


def run(
    data: tuple[Sequence[str], Sequence[str]],
    out: Path,
    config: TeacherConfig,
    device: str,
    vocab: Vocab | None = None,
) -> Score:
    """Train with a bar, and say how it went; also for `benchmarks/teacher.py`."""
    from dlm_core.evaluation.teacher_training import train_teacher as train

    with watching("training") as told:
        best = train(*data, out, config, device, told, vocab)
    stderr(f"wrote {out}: {best.token_nll:.4f} nats a token on {best.texts} validation texts")
    stderr(f"use it: {command('score', 'TEXTS', '--teacher', out)}")
    return best
