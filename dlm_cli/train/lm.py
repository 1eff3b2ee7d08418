"""`dlm train lm`: a Diffusion-LM on a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_cli.files import expand
from dlm_cli.help import examples
from dlm_cli.options import Corpus, Device, PluginFiles
from dlm_cli.output import pick_device, progress_bar, require_folder, stderr

if TYPE_CHECKING:
    pass


EPILOG = examples(
    "dlm train lm --corpus e2e:train.csv.gz --valid e2e:valid.csv.gz --out runs/e2e",
    "dlm train lm --corpus text:mine.txt --config mine.toml --out runs/mine --resume",
)
OutOption = Annotated[
    Path,
    typer.Option(
        metavar="DIR",
        help="Folder for checkpoints, curves and the bundle.",
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
        help="Start from this model's weights: fine-tune it.",
        rich_help_panel="Training",
    ),
]
MaxStepsOption = Annotated[
    int | None,
    typer.Option(metavar="INT", min=1, help="Overrides the config's.", rich_help_panel="Training"),
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
        help="Continue exactly from the checkpoint in --out.",
        rich_help_panel="Training",
    ),
]
CompileOption = Annotated[
    bool,
    typer.Option("--compile", metavar="", help="Compile the denoiser.", rich_help_panel="Model"),
]


def train_lm(
    corpus: Corpus,
    out: OutOption,
    valid: ValidOption = None,
    plugin: PluginFiles = None,
    config: ConfigOption = None,
    init: InitOption = None,
    max_steps: MaxStepsOption = None,
    stop_after: StopAfterOption = None,
    resume: ResumeOption = False,
    device: Device = "auto",
    compile: CompileOption = False,
) -> None:
    """Train a Diffusion-LM on a corpus and write a bundle.

    Ctrl-C leaves a checkpoint that --resume continues from, bit for bit.
    """
    from dlm_cli.plugins.loading import load
    from dlm_core.config import TrainConfig, load_toml
    from dlm_core.corpora import read_corpus
    from dlm_core.errors import UsageError

    readers = load(plugin).corpora
    data = load_toml(config) if config else {}
    if max_steps is not None:
        data["max_steps"] = max_steps
    settings = TrainConfig.read(data, str(config or "defaults"))
    if not resume and (out / "checkpoint").exists():
        raise UsageError(
            f"option '--out': {out} holds the checkpoint of another run",
            "add --resume to continue it, or choose another folder",
        )
    require_folder(out, "--out")
    texts = [e.text for e in read_corpus(corpus, readers)]
    if valid is not None:
        valid_texts = [e.text for e in read_corpus(valid, readers)]
    else:
        texts, valid_texts = _hold_out(texts)

    from dlm_core.training.loop import Callbacks, Trainer
    from dlm_core.vocab import Vocab

    vocab = Vocab.build(texts, settings.min_count)
    model = settings.model.model_copy(update={"vocab_size": len(vocab)})
    settings = settings.model_copy(update={"model": model})
    trainer = Trainer(
        settings, vocab, texts, valid_texts, out, device=pick_device(device), compile=compile
    )
    if resume:
        trainer.resume()
    elif init is not None:
        from dlm_core.bundle import Model as Bundle

        trainer.start_from(Bundle.load(init))
    goal = min(stop_after or settings.max_steps, settings.max_steps)
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

        result = trainer.run(Callbacks(on_step, on_eval), stop_after)
    if result.finished:
        stderr(f"wrote the bundle {out}")
        return
    stderr(f"stopped at step {result.step}; continue with --resume")
    if result.step < goal:  # Ctrl-C
        raise typer.Exit(130)


def _hold_out(texts: list[str]) -> tuple[list[str], list[str]]:
    """About a thousand texts for validation, evenly from the corpus; the rest for training."""
    every = max(2, len(texts) // 1000)
    return [t for i, t in enumerate(texts) if i % every], texts[::every]
