"""`dlm train writer`: the net of a bundle that is shown what its controls ask."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_cli.files import expand
from dlm_cli.help import examples
from dlm_cli.options import Corpus, Device, Encoding, Model, PluginFiles
from dlm_cli.output import pick_device, require_folder, stderr, warn
from dlm_cli.train.control import refuse_embedded
from dlm_cli.train.lm import (
    ConfigOption,
    ForceOption,
    MaxStepsOption,
    ResumeOption,
    StopAfterOption,
    ValidOption,
    check_stop,
    run,
)
from dlm_core.commands import command

if TYPE_CHECKING:
    from dlm_core.bundle import ModelInfo
    from dlm_core.config import TrainConfig
    from dlm_core.training.checkpoint import Checkpoint

EPILOG = examples(
    "dlm models copy e2e mine; dlm train writer --model mine --corpus e2e:train.csv.gz",
    "dlm train writer --model mine --corpus text:mine.txt --max-steps 2000 --resume",
)
OutOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder for checkpoint, curves and head; controls/writer in the model's if omitted.",
        callback=expand,
        rich_help_panel="Output",
    ),
]


def train_writer(
    corpus: Corpus,
    model: Model = "e2e",
    out: OutOption = None,
    valid: ValidOption = None,
    encoding: Encoding = None,
    plugin: PluginFiles = None,
    config: ConfigOption = None,
    max_steps: MaxStepsOption = None,
    stop_after: StopAfterOption = None,
    resume: ResumeOption = False,
    force: ForceOption = False,
    device: Device = "auto",
) -> None:
    """Train the writer of a bundle: its denoiser, shown what controls ask for.

    Every control that can be shown takes part, those of plugins too. Each text is seen with other
    conditions every time: facts, keywords, tags, known words, all together or none.
    """
    from dlm_cli.plugins.loading import load
    from dlm_core.bundle import Model as LoadedModel
    from dlm_core.bundle import ModelInfo
    from dlm_core.control.shown import WRITER
    from dlm_core.corpora import prepare, read_corpus
    from dlm_core.data_check import hold_out
    from dlm_core.training.checkpoint import CHECKPOINT, Checkpoint
    from dlm_core.training.writer import WriterTrainer, kinds_shown, read_shown

    plugins = load(plugin)
    info = ModelInfo.read(model)
    info.config.require_shown()
    folder = out or info.head_path(WRITER)
    _check_folder(info, folder, out, resume, force)
    saved = Checkpoint.read(folder / CHECKPOINT) if resume else None
    settings = _settings(config, max_steps, saved, info)
    check_stop(stop_after, settings, saved)
    texts = read_corpus(corpus, plugins.corpora, encoding)
    if valid is not None:
        held_out = read_corpus(valid, plugins.corpora, encoding)
    else:
        texts, held_out, _ = hold_out(texts)
    texts, held_out = prepare(texts, info.text), prepare(held_out, info.text)
    loaded = LoadedModel.load(model, pick_device(device))
    kinds = kinds_shown(plugins.controls, info.heads)
    stderr(f"reading {len(texts) + len(held_out)} texts: {', '.join(sorted(kinds))}")
    if headless := sorted(set(kinds_shown(plugins.controls)) - set(kinds)):
        stderr(f"not shown, without a head in this model: {', '.join(headless)}")
    trainer = WriterTrainer(
        settings, loaded, kinds, read_shown(texts, kinds, loaded),
        read_shown(held_out, kinds, loaded, held_out=True), folder, folder, device=loaded.device,
        names=(corpus, valid or f"{corpus}, held out"),
    )  # fmt: skip
    if resume:
        for note in trainer.resume():
            warn(note)
    if run(trainer, stop_after):
        _tell(model, folder, out)


def _check_folder(
    info: ModelInfo, folder: Path, out: Path | None, resume: bool, force: bool
) -> None:
    """Never into what ships with dlm, nor over another head unasked."""
    from dlm_core.training.beginning import check_beginning

    refuse_embedded(info, out)
    there = any((folder / name).exists() for name in ("config.json", "checkpoint"))
    check_beginning(folder, "another writer or a run" if there else None, resume, force)
    require_folder(folder, "--out")


def _settings(
    config: Path | None, max_steps: int | None, saved: Checkpoint | None, info: ModelInfo
) -> TrainConfig:
    """The writer's own settings, those given over them; texts are prepared as the model's."""
    from dlm_core.config import load_toml
    from dlm_core.training.writer import writer_settings

    data = load_toml(config) if config else {}
    if max_steps is not None:
        data["max_steps"] = max_steps
    settings = writer_settings(data, str(config or "defaults"), saved.config if saved else None)
    return settings.model_copy(update={"text": info.text})


def _tell(model: str, folder: Path, out: Path | None) -> None:
    stderr(f"wrote {folder}")
    words: list[object] = ["generate", "-m", model, "-c", "..."]
    words += [] if out is None else ["--head", f"writer={folder}"]
    stderr(f"use it: {command(*words)}")
