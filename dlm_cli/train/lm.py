"""`dlm train lm`: a Diffusion-LM on a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlm_cli.files import check_new, expand
from dlm_cli.help import examples
from dlm_cli.options import Corpus, Device, Encoding, PluginFiles
from dlm_cli.output import pick_device, progress_bar, require_folder, stderr, warn
from dlm_cli.train.settings import SettingsFile, read_settings

if TYPE_CHECKING:
    from dlm_core.bundle import Model as Bundle
    from dlm_core.config import TrainConfig
    from dlm_core.training.checkpoint import Checkpoint
    from dlm_core.training.loop import Trainer
    from dlm_core.vocab import Vocab


EPILOG = examples(
    "dlm train lm --corpus e2e:train.csv.gz --valid e2e:valid.csv.gz --out runs/e2e",
    "dlm train lm --corpus text:mine.txt --config mine.toml --out runs/mine --resume",
    "dlm train lm examples/unet.toml --max-steps 500",
)
OutOption = Annotated[
    Path,
    typer.Option(
        metavar="DIR",
        help="Folder for checkpoint, curves and the bundle.",
        callback=expand,
        rich_help_panel="Output",
    ),
]
ValidOption = Annotated[
    str | None,
    typer.Option(
        metavar="READER:PATH",
        help="Validation texts; held out of --corpus if omitted.",
        rich_help_panel="Data",
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="TOML of training settings; defaults are the embedded model's.",
        callback=expand,
        rich_help_panel="Training",
    ),
]
InitOption = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Start from this model's weights: fine-tune it. Words and shape are its own.",
        rich_help_panel="Training",
    ),
]
MaxStepsOption = Annotated[
    int | None,
    typer.Option(
        metavar="INT",
        min=1,
        help="Overrides the config's; with --resume a longer run goes on.",
        rich_help_panel="Training",
    ),
]
StopAfterOption = Annotated[
    int | None,
    typer.Option(
        metavar="INT",
        min=1,
        help="Leave a checkpoint and stop at this step.",
        rich_help_panel="Training",
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume",
        metavar="",
        help="Continue exactly from the checkpoint in --out; settings left out are its own.",
        rich_help_panel="Training",
    ),
]
CompileOption = Annotated[
    bool,
    typer.Option("--compile", metavar="", help="Compile the denoiser.", rich_help_panel="Model"),
]


NewDataOption = Annotated[
    bool,
    typer.Option(
        "--new-data",
        metavar="",
        help="With --resume: go on with other texts than before; the vocabulary stays.",
        rich_help_panel="Training",
    ),
]
ForceOption = Annotated[
    bool,
    typer.Option(
        "--force",
        metavar="",
        help="Start anew in a folder that holds another run or model, and replace it.",
        rich_help_panel="Output",
    ),
]


def train_lm(
    corpus: Corpus,
    out: OutOption,
    file: SettingsFile = None,
    valid: ValidOption = None,
    encoding: Encoding = None,
    plugin: PluginFiles = None,
    config: ConfigOption = None,
    init: InitOption = None,
    max_steps: MaxStepsOption = None,
    stop_after: StopAfterOption = None,
    resume: ResumeOption = False,
    new_data: NewDataOption = False,
    force: ForceOption = False,
    device: Device = "auto",
    compile: CompileOption = False,
) -> None:
    """Train a Diffusion-LM on a corpus and write a bundle.

    Ctrl-C leaves a checkpoint that --resume continues from, bit for bit. What the model will see of
    the corpus is told first.
    """
    from dlm_cli.plugins.loading import load
    from dlm_core.bundle import Model as Bundle
    from dlm_core.corpora import read_corpus
    from dlm_core.data_check import hold_out

    data, readers = read_settings(file, config), load(plugin).corpora
    if max_steps is not None:
        data["max_steps"] = max_steps
    _check_beginning(out, resume, new_data, init, force)
    from dlm_core.training.checkpoint import CHECKPOINT, Checkpoint

    saved = Checkpoint.read(out / CHECKPOINT) if resume else None
    tuned = Bundle.load(init) if init is not None else None
    settings = _settings(data, str(file or config or "defaults"), saved, tuned)
    check_stop(stop_after, settings, saved)
    require_folder(out, "--out")
    texts = [e.text for e in read_corpus(corpus, readers, encoding)]
    told = f"all of {valid}, for validation"
    if valid is not None:
        valid_texts = [e.text for e in read_corpus(valid, readers, encoding)]
    else:
        texts, valid_texts, told = hold_out(texts)
    words = saved.vocabulary if saved else tuned.vocab if tuned else None
    vocab = _tell_data(texts, settings, words, corpus, told)

    from dlm_core.training.loop import Trainer

    trainer = Trainer(
        settings.with_vocab(len(vocab)), vocab, texts, valid_texts, out,
        pick_device(device), compile, (corpus, valid or f"{corpus}, held out"),
    )  # fmt: skip
    _begin(trainer, resume, new_data, tuned)
    if run(trainer, stop_after):
        stderr(f"wrote the bundle {out}")


def _check_beginning(
    out: Path, resume: bool, new_data: bool, init: str | None, force: bool
) -> None:
    """What stands in the folder, and options that cannot go together."""
    from dlm_core.errors import UsageError

    if resume:
        if init is not None or force:
            other = "--init" if init is not None else "--force"
            raise UsageError(
                f"option '--resume' and option '{other}': one goes on, the other starts anew",
                f"leave one of them out; {other} with another --out",
            )
        return
    if new_data:
        raise UsageError("option '--new-data' needs '--resume'", "leave it out to start anew")
    if (out / "checkpoint").exists() and not force:
        raise UsageError(
            f"option '--out': {out} holds the checkpoint of another run",
            "add --resume to continue it or --force to start anew, or choose another folder",
        )
    check_new(out, force)


def _begin(trainer: Trainer, resume: bool, new_data: bool, tuned: Bundle | None) -> None:
    """The weights that training begins with, where they are not random."""
    if resume:
        for note in trainer.resume(new_data):
            warn(note)
    elif tuned is not None:
        trainer.start_from(tuned)
    elif (checkpoint := trainer.config.bert_checkpoint) is not None:
        trainer.start_from_bert(checkpoint)


def _settings(
    data: dict[str, Any], where: str, saved: Checkpoint | None, tuned: Bundle | None
) -> TrainConfig:
    """The settings given, over those of the checkpoint or the shape of the model to begin with."""
    from dlm_core.config import TrainConfig
    from dlm_core.errors import UsageError

    if tuned is not None and "bert_checkpoint" in data:
        raise UsageError("option '--init' and key 'bert_checkpoint' exclude each other")
    base: dict[str, Any] = {}
    if saved is not None:
        base = saved.config
    elif tuned is not None:
        base = {"model": tuned.info.config.model_dump(mode="json")}
    tables = {
        key: {**base[key], **value}
        for key, value in data.items()
        if isinstance(value, dict) and isinstance(base.get(key), dict)
    }
    return TrainConfig.read({**base, **data, **tables}, where)


def check_stop(stop_after: int | None, settings: TrainConfig, saved: Checkpoint | None) -> None:
    """A stop lies between where the run stands and where it ends."""
    from dlm_core.errors import UsageError

    if stop_after is None:
        return
    if stop_after > settings.max_steps:
        raise UsageError(
            f"option '--stop-after': {stop_after}, but the run ends at step {settings.max_steps}",
            f"--max-steps {stop_after} makes it longer",
        )
    if saved is not None and stop_after <= saved.step:
        raise UsageError(
            f"option '--stop-after': {stop_after}, but the checkpoint is at step {saved.step}",
            f"a later step, up to {settings.max_steps}",
        )


def _tell_data(
    texts: list[str], settings: TrainConfig, vocab: Vocab | None, source: str, told: str
) -> Vocab:
    """Say what the model will see of the corpus; returns the words, `vocab` if there are some."""
    from dlm_core.data_check import check_data
    from dlm_core.vocab import Vocab

    padded = settings.model.length_mode == "padded"
    report = check_data(
        texts,
        min_count=settings.min_count,
        max_words=settings.model.max_len - (2 if padded else 0),
        cuts=padded,
        vocab=vocab,
        held_out=told,
        source=source,
    )
    for line in report.lines():
        stderr(line)
    return vocab or Vocab.build(texts, settings.min_count, settings.max_words, settings.pieces)


def run(trainer: Trainer, stop_after: int | None) -> bool:
    """Train with a bar, and say how it ended; True if it is finished."""
    from dlm_core.training.loop import Callbacks

    steps = trainer.config.max_steps
    goal = min(stop_after or steps, steps)
    if trainer.step == steps:
        stderr(f"the run is finished at step {steps}; --max-steps N goes on to step N")
    with progress_bar("training", goal) as bar:
        bar.update(trainer.step)

        def on_step(step: int, metrics: dict[str, float]) -> None:
            bar.update(1)
            if step % 20 == 0:
                bar.set_postfix(loss=f"{metrics['loss']:.3f}", ce=f"{metrics['anchor']:.3f}")

        def on_eval(step: int, metrics: dict[str, float], samples: list[str]) -> None:
            bar.clear()
            stderr(f"step {step}: validation cross-entropy {metrics['valid_anchor']:.3f}")
            for text in samples:
                stderr(f"  | {text}")

        def on_note(note: str) -> None:
            bar.clear()
            warn(note)

        result = trainer.run(Callbacks(on_step, on_eval, on_note), stop_after)
    if result.finished:
        return True
    stderr(f"stopped at step {result.step}; continue with --resume")
    if result.step < goal:  # Ctrl-C
        raise typer.Exit(130)
    return False
