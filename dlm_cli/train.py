"""`dlm train`: train a language model or a control's head."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlm_cli.app import examples, group
from dlm_cli.options import Corpus, Device, Model, PluginFiles
from dlm_cli.output import pick_device, progress_bar, require_folder, stderr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlm_core.bundle import Model as LoadedModel
    from dlm_core.corpora import Example
    from dlm_core.spec import ControlSpec

app = group("Train a Diffusion-LM, or the head of a control.")


@app.command(
    "lm",
    epilog=examples(
        "dlm train lm --corpus e2e:train.csv.gz --valid e2e:valid.csv.gz --out runs/e2e",
        "dlm train lm --corpus text:mine.txt --config mine.toml --out runs/mine --resume",
    ),
)
def train_lm(
    corpus: Corpus,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Folder for checkpoints, curves and the bundle.",
            rich_help_panel="Output",
        ),
    ],
    valid: Annotated[
        str | None,
        typer.Option(
            metavar="READER:PATH",
            help="Validation texts; held out of --corpus if omitted.",
            rich_help_panel="Data",
        ),
    ] = None,
    plugin: PluginFiles = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML of training settings; defaults are the embedded model's.",
            rich_help_panel="Training",
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Start from this model's weights: fine-tune it.",
            rich_help_panel="Training",
        ),
    ] = None,
    max_steps: Annotated[
        int | None,
        typer.Option(
            metavar="INT", min=1, help="Overrides the config's.", rich_help_panel="Training"
        ),
    ] = None,
    stop_after: Annotated[
        int | None,
        typer.Option(
            metavar="INT",
            min=1,
            help="Leave a checkpoint and stop at this step.",
            rich_help_panel="Training",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            metavar="",
            help="Continue exactly from the checkpoint in --out.",
            rich_help_panel="Training",
        ),
    ] = False,
    device: Device = "auto",
    compile: Annotated[
        bool,
        typer.Option(
            "--compile", metavar="", help="Compile the denoiser.", rich_help_panel="Model"
        ),
    ] = False,
) -> None:
    """Train a Diffusion-LM on a corpus and write a bundle.

    Ctrl-C leaves a checkpoint that --resume continues from, bit for bit.
    """
    from dlm_cli.plugins import load
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

    from dlm_core.training import Callbacks, Trainer
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


@app.command(
    "control",
    epilog=examples(
        "dlm train control semantic --model e2e --corpus e2e:train.csv.gz",
        "dlm train control pos --model runs/mine --corpus text:mine.txt --steps 500",
        "dlm train control classify --data labelled.jsonl --name friendly",
        "dlm train control tree --corpus e2e:train.csv.gz --parser PATH --trees parses.jsonl",
    ),
)
def train_control(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="A control with a head to train.")],
    corpus: Annotated[
        str | None,
        typer.Option(
            "--corpus",
            metavar="READER:PATH",
            help="Training texts, for example e2e:train.csv.gz.",
            rich_help_panel="Data",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help='JSONL of {"text": ..., "label": ...}, short for --corpus labelled:FILE.',
            rich_help_panel="Data",
        ),
    ] = None,
    parser: Annotated[
        str | None,
        typer.Option(
            metavar="PARSER",
            help="benepar parser, by name or path, that parses the texts (tree); DLM_PARSER or "
            "benepar_en3 if omitted.",
            rich_help_panel="Data",
        ),
    ] = None,
    trees: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSONL that keeps the parses (tree): what it holds is not parsed again.",
            rich_help_panel="Data",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What to call the head, of a control that can have many (classify).",
            rich_help_panel="Output",
        ),
    ] = None,
    model: Model = "e2e",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for the head; controls/KIND[/NAME] in the model's folder if "
            "omitted.".replace("[", "\\["),
            rich_help_panel="Output",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="INT", min=1, help="The control decides if omitted.", rich_help_panel="Training"
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="INT", help="The control decides if omitted.", rich_help_panel="Training"
        ),
    ] = None,
    device: Device = "auto",
    plugin: PluginFiles = None,
) -> None:
    """Train the head of a control on a corpus and store it in the model's bundle."""
    from dlm_cli.controls import trainable
    from dlm_cli.plugins import find_control, load
    from dlm_core.bundle import ModelInfo
    from dlm_core.corpora import read_corpus
    from dlm_core.errors import UsageError

    plugins = load(plugin)
    cls = find_control(plugins, kind)
    if not trainable(cls):
        others = sorted(k for k, other in plugins.controls.items() if trainable(other))
        raise UsageError(
            f"control '{kind}' has no head to train: it works with any model as it is",
            f"controls with a head: {', '.join(others)}",
        )
    if (corpus is None) == (data is None):
        raise UsageError("expected either option '--corpus' or option '--data'", "--data FILE")
    _check_name(cls, name, out)
    options = {"steps": steps, "seed": seed, "parser": parser, "trees": trees}
    chosen = {name: value for name, value in options.items() if value is not None}
    _check_options(cls, chosen)
    folder = out or ModelInfo.read(model).head_path(f"{kind}/{name}" if name else kind)
    require_folder(folder, "--out")
    examples_ = read_corpus(corpus or f"labelled:{data}", plugins.corpora)

    from dlm_core.bundle import Model as LoadedModel

    loaded = LoadedModel.load(model, pick_device(device))
    figures = _train_head(cls, loaded, examples_, folder, plugins.origin("control", kind), chosen)
    for name, value in figures.items():
        stderr(f"{name}: {value:.4f}")
    stderr(f"wrote {folder}")
    if cls.named_heads:
        stderr(f"use it: -c '{kind}:{name if out is None else folder}=...'")


def _check_name(cls: type[ControlSpec], name: str | None, out: Path | None) -> None:
    from dlm_core.errors import UsageError

    if not cls.named_heads:
        if name is not None:
            raise UsageError(f"option '--name': a model has one head for control '{cls.kind}'")
        return
    if name is None and out is None:
        raise UsageError(
            f"option '--name' is missing: a model can have many heads for control '{cls.kind}'",
            "--name NAME, or --out DIR",
        )
    if name is not None and re.fullmatch(r"[\w.-]*\w", name) is None:
        raise UsageError(f"option '--name': '{name}'", "letters, digits, '_', '-' and '.'")


def _check_options(cls: type[ControlSpec], chosen: dict[str, Any]) -> None:
    from dlm_core.errors import UsageError

    known = inspect.signature(cls.train).parameters
    for name in ("parser", "trees"):
        if name in chosen and name not in known:
            raise UsageError(
                f"option '--{name}': control '{cls.kind}' learns from no parses",
                "dlm train control tree",
            )


def _hold_out(texts: list[str]) -> tuple[list[str], list[str]]:
    """About a thousand texts for validation, evenly from the corpus; the rest for training."""
    every = max(2, len(texts) // 1000)
    return [t for i, t in enumerate(texts) if i % every], texts[::every]


def _train_head(
    cls: type[ControlSpec],
    model: LoadedModel,
    corpus: Sequence[Example],
    out: Path,
    owner: str,
    options: dict[str, Any],
) -> dict[str, float]:
    from dlm_core.errors import DLMError, PluginError

    with progress_bar(f"training {cls.kind}", options.get("steps", 0)) as bar:

        def on_step(step: int, steps: int, loss: float) -> None:
            bar.total = steps
            bar.update(step - bar.n)
            if step % 20 == 0:
                bar.set_postfix(loss=f"{loss:.3f}")

        try:
            return cls.train(model, corpus, out, on_step=on_step, **options)
        except DLMError:
            raise
        except Exception as error:
            raise PluginError(
                f"control '{cls.kind}' from {owner} failed at train: "
                f"{type(error).__name__}: {error}",
                "DLM_DEBUG=1 shows the traceback",
            ) from error
