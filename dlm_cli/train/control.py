"""`dlm train control`: the head of a control."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlm_cli.files import expand
from dlm_cli.help import examples
from dlm_cli.options import Device, Model, PluginFiles
from dlm_cli.output import pick_device, progress_bar, require_folder, stderr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlm_core.bundle import Model as LoadedModel
    from dlm_core.control.compose import ControlSpec
    from dlm_core.corpora import Example


EPILOG = examples(
    "dlm train control semantic --model e2e --corpus e2e:train.csv.gz",
    "dlm train control pos --model runs/mine --corpus text:mine.txt --steps 500",
    "dlm train control classify --data labelled.jsonl --name friendly",
    "dlm train control tree --corpus e2e:train.csv.gz --parser PATH --trees parses.jsonl",
)
KindOption = Annotated[str, typer.Argument(metavar="KIND", help="A control with a head to train.")]
CorpusOption = Annotated[
    str | None,
    typer.Option(
        "--corpus",
        metavar="READER:PATH",
        help="Training texts, for example e2e:train.csv.gz.",
        rich_help_panel="Data",
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help='JSONL of {"text": ..., "label": ...}, short for --corpus labelled:FILE.',
        callback=expand,
        rich_help_panel="Data",
    ),
]
ParserOption = Annotated[
    str | None,
    typer.Option(
        metavar="PARSER",
        help="benepar parser, by name or path, that parses the texts (tree); DLM_PARSER or "
        "benepar_en3 if omitted.",
        rich_help_panel="Data",
    ),
]
TreesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="JSONL that keeps the parses (tree): what it holds is not parsed again.",
        callback=expand,
        rich_help_panel="Data",
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What to call the head, of a control that can have many (classify).",
        rich_help_panel="Output",
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder for the head; controls/KIND[/NAME] in the model's folder if omitted.".replace(
            "[", "\\["
        ),
        callback=expand,
        rich_help_panel="Output",
    ),
]
StepsOption = Annotated[
    int | None,
    typer.Option(
        metavar="INT", min=1, help="The control decides if omitted.", rich_help_panel="Training"
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option(metavar="INT", help="The control decides if omitted.", rich_help_panel="Training"),
]


def train_control(
    kind: KindOption,
    corpus: CorpusOption = None,
    data: DataOption = None,
    parser: ParserOption = None,
    trees: TreesOption = None,
    name: NameOption = None,
    model: Model = "e2e",
    out: OutOption = None,
    steps: StepsOption = None,
    seed: SeedOption = None,
    device: Device = "auto",
    plugin: PluginFiles = None,
) -> None:
    """Train the head of a control on a corpus and store it in the model's bundle."""
    from dlm_cli.controls import trainable
    from dlm_cli.plugins.loading import find_control, load
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
