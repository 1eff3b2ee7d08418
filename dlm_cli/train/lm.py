"""`dlm train lm`: a Diffusion-LM on a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlm_cli.files import check_new, expand
from dlm_cli.help import examples
from dlm_cli.options import Corpus, Device, Encoding, PluginFiles
from dlm_cli.output import pick_device, require_folder, stderr, warn
from dlm_cli.train.bars import watching
from dlm_cli.train.settings import SettingsFile, read_settings

if TYPE_CHECKING:
    from dlm_core.bundle import Model as Bundle
    from dlm_core.config import TextConfig, TrainConfig
    from dlm_core.corpora import CorpusReader
    from dlm_core.recipes.data import Texts
    from dlm_core.training.checkpoint import Checkpoint
    from dlm_core.training.loop import Trainer


EPILOG = examples(
    "dlm train lm --corpus e2e:train.csv.gz --valid e2e:valid.csv.gz --out runs/e2e",
    "dlm train lm --corpus text:mine.txt --config mine.toml --out runs/mine --resume",
    "dlm train lm --corpus csv:mine.csv#text=review --init e2e --new-words --out runs/mine",
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
NewWordsOption = Annotated[
    bool,
    typer.Option(
        "--new-words",
        metavar="",
        help="With --init: the words of the corpus; of the model's weights what fits is kept.",
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
    new_words: NewWordsOption = False,
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
    from dlm_core.recipes.data import look_at

    data, readers = read_settings(file, config), load(plugin).corpora
    if max_steps is not None:
        data["max_steps"] = max_steps
    _check_beginning(out, resume, new_data, init, new_words, force)
    from dlm_core.training.checkpoint import CHECKPOINT, Checkpoint

    saved = Checkpoint.read(out / CHECKPOINT) if resume else None
    tuned = Bundle.load(init) if init is not None else None
    settings = _settings(data, str(file or config or "defaults"), saved, tuned, new_words)
    check_stop(stop_after, settings, saved)
    require_folder(out, "--out")
    read, text = read_prepared(settings.text, corpus, valid, readers, encoding)
    settings = settings.model_copy(update={"text": text})
    texts, held_out = [e.text for e in read.train], [e.text for e in read.valid]
    words = saved.vocabulary if saved else tuned.vocab if tuned and not new_words else None
    report, vocab = look_at(texts, settings, words, corpus, read.told)
    for line in report.lines():
        stderr(line)

    from dlm_core.training.loop import Trainer

    trainer = Trainer(
        settings.with_vocab(len(vocab)), vocab, texts, held_out, out,
        pick_device(device), compile, read.names,
    )  # fmt: skip
    _begin(trainer, resume, new_data, tuned, new_words)
    if run(trainer, stop_after):
        stderr(f"wrote the bundle {out}")


def read_prepared(
    text: TextConfig,
    corpus: str,
    valid: str | None,
    readers: dict[str, CorpusReader],
    encoding: str | None,
) -> tuple[Texts, TextConfig]:
    """Texts to train on and to validate with, and how they were prepared."""
    from dlm_core.corpora import learn
    from dlm_core.recipes.data import read_texts

    read = read_texts(corpus, valid, encoding, readers)
    text, learnt = learn(read.train, text)
    if learnt:
        stderr(learnt)
    return read.prepared(text), text


def _check_beginning(
    out: Path, resume: bool, new_data: bool, init: str | None, new_words: bool, force: bool
) -> None:
    """What stands in the folder, and options that cannot go together."""
    from dlm_core.errors import UsageError
    from dlm_core.training.beginning import check_beginning

    if new_words and init is None:
        raise UsageError(
            "option '--new-words' needs '--init'", "without it all words are the corpus's"
        )
    if new_data and not resume:
        raise UsageError("option '--new-data' needs '--resume'", "leave it out to start anew")
    there = "the checkpoint of another run" if (out / "checkpoint").exists() else None
    check_beginning(out, there, resume, force, init is not None)
    check_new(out, resume or force)


def _begin(
    trainer: Trainer, resume: bool, new_data: bool, tuned: Bundle | None, new_words: bool
) -> None:
    """The weights that training begins with, where they are not random."""
    if resume:
        for note in trainer.resume(new_data):
            warn(note)
    elif tuned is not None:
        if told := trainer.start_from(tuned, new_words):
            stderr(told)
    elif (checkpoint := trainer.config.bert_checkpoint) is not None:
        trainer.start_from_bert(checkpoint)


def _settings(
    data: dict[str, Any],
    where: str,
    saved: Checkpoint | None,
    tuned: Bundle | None,
    new_words: bool,
) -> TrainConfig:
    """The settings given, over those of the checkpoint or the shape of the model to begin with."""
    from dlm_core.config import TrainConfig
    from dlm_core.errors import UsageError
    from dlm_core.training.settings import laid_over, shape_of

    if tuned is not None and "bert_checkpoint" in data:
        raise UsageError("option '--init' and key 'bert_checkpoint' exclude each other")
    base: dict[str, Any] = {}
    if saved is not None:
        base = saved.config
    elif tuned is not None:
        base = shape_of(tuned.info)
        if new_words:  # tokens and capitals are the corpus's, too
            base["text"] |= {"tokenise": True, "capitals": None}
    return TrainConfig.read(laid_over(data, base), where)


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
            f"a later step, up to {settings.max_steps}"
            if saved.step < settings.max_steps
            else "--max-steps makes the run longer",
        )


def run(trainer: Trainer, stop_after: int | None) -> bool:
    """Train with a bar, and say how it ended; True if it is finished."""
    from dlm_core.training.told import run_told

    steps = trainer.config.max_steps
    if trainer.step == steps:
        stderr(f"the run is finished at step {steps}; --max-steps N goes on to step N")
    with watching("training") as told:
        result = run_told(trainer, told, stop_after)
    if result.finished:
        return True
    stderr(f"stopped at step {result.step}; continue with --resume")
    if result.step < min(stop_after or steps, steps):  # Ctrl-C
        raise typer.Exit(130)
    return False
