"""`dlm train control`: the head of a control."""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlm_cli.files import expand
from dlm_cli.help import examples
from dlm_cli.options import Device, Encoding, Model, PluginFiles
from dlm_cli.output import pick_device, require_folder, stderr
from dlm_cli.train.bars import watching
from dlm_core.commands import command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlm_core.bundle import Model as LoadedModel
    from dlm_core.bundle import ModelInfo
    from dlm_core.control.compose import ControlSpec
    from dlm_core.corpora import Example
    from dlm_core.plugins.registry import Plugins


EPILOG = examples(
    "dlm models copy e2e mine; dlm train control semantic --model mine --corpus e2e:train.csv.gz",
    "dlm train control semantic --model mine --corpus jsonl:own.jsonl",
    "dlm train control pos --model runs/mine --corpus text:mine.txt --steps 500",
    "dlm train control classify --model mine --data labelled.jsonl --name friendly",
    "dlm train control tree --corpus e2e:train.csv.gz --parser PATH --out heads/tree",
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
RulesOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Read texts by built-in rules, and learn no fields (semantic: e2e).",
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


ForceOption = Annotated[
    bool,
    typer.Option(
        "--force", metavar="", help="Replace a head that is there.", rich_help_panel="Output"
    ),
]


def train_control(
    kind: KindOption,
    corpus: CorpusOption = None,
    data: DataOption = None,
    encoding: Encoding = None,
    parser: ParserOption = None,
    trees: TreesOption = None,
    rules: RulesOption = None,
    name: NameOption = None,
    model: Model = "e2e",
    out: OutOption = None,
    steps: StepsOption = None,
    seed: SeedOption = None,
    force: ForceOption = False,
    device: Device = "auto",
    plugin: PluginFiles = None,
) -> None:
    """Train the head of a control on a corpus and store it in the model's bundle.

    A model that ships with dlm is not written into: copy it ('dlm models copy e2e mine'), or give
    the head a folder with --out and name it with 'dlm generate --head KIND=DIR'.
    """
    from dlm_cli.plugins.loading import find_control, load
    from dlm_core.bundle import Model as LoadedModel
    from dlm_core.bundle import ModelInfo
    from dlm_core.corpora import prepare, read_corpus
    from dlm_core.errors import UsageError
    from dlm_core.training.heads import train_head

    plugins = load(plugin)
    cls = find_control(plugins, kind)
    _check_trainable(cls, plugins)
    if (corpus is None) == (data is None):
        raise UsageError("expected either option '--corpus' or option '--data'", "--data FILE")
    _check_name(cls, name, out)
    options = {"steps": steps, "seed": seed, "parser": parser, "trees": trees, "rules": rules}
    chosen = {option: value for option, value in options.items() if value is not None}
    _check_options(cls, chosen)
    info = ModelInfo.read(model)
    folder = _folder(cls, info, name, out, force)
    source = corpus or f"labelled:{data}"
    examples_ = prepare(read_corpus(source, plugins.corpora, encoding), info.text)
    _tell_data(info, examples_, source)
    loaded = LoadedModel.load(model, pick_device(device))
    with watching(f"training {kind}") as told:
        owner = plugins.origin("control", kind)
        figures = train_head(cls, loaded, examples_, folder, owner, told, **chosen)
    _tell(cls, loaded, folder, name, out, figures)


def _check_trainable(cls: type[ControlSpec], plugins: Plugins) -> None:
    from dlm_core.control.learning import head_kind, trainable
    from dlm_core.errors import UsageError

    if trainable(cls):
        return
    needed = head_kind(cls)
    if needed:
        raise UsageError(
            f"control '{cls.kind}' has no head of its own: it needs that of '{needed}'",
            command("train", "control", needed),
        )
    others = sorted(k for k, other in plugins.controls.items() if trainable(other))
    raise UsageError(
        f"control '{cls.kind}' has no head to train: it works with any model as it is",
        f"controls with a head: {', '.join(others)}",
    )


def refuse_embedded(info: ModelInfo, out: Path | None) -> None:
    """No head goes into a model that ships with dlm."""
    from dlm_core.errors import UsageError

    if out is None and info.embedded:
        copy = command("models", "copy", info.name, f"my-{info.name}")
        raise UsageError(
            f"model '{info.name}' ships with dlm: a head of yours cannot go into it",
            f"copy it first: {copy}; then --model my-{info.name}; or choose a folder: --out DIR",
        )


def _folder(
    cls: type[ControlSpec], info: ModelInfo, name: str | None, out: Path | None, force: bool
) -> Path:
    """Where the head goes: never into what ships with dlm, nor over another head unasked."""
    from dlm_core.errors import UsageError

    refuse_embedded(info, out)
    folder = out or info.head_path(f"{cls.kind}/{name}" if name else cls.kind)
    if (folder / "config.json").exists() and not force:
        raise UsageError(
            f"{folder} holds a trained head", "replace it with --force, or choose --out DIR"
        )
    require_folder(folder, "--out")
    return folder


def _tell_data(info: ModelInfo, corpus: Sequence[Example], source: str) -> None:
    """What the model will see of the corpus, before anything is learnt from it."""
    from dlm_core.data_check import check_data

    texts = [example.text for example in corpus]
    report = check_data(texts, vocab=info.vocab, max_len=info.max_words, source=source)
    for line in report.lines():
        stderr(line)


def _tell(
    cls: type[ControlSpec],
    model: LoadedModel,
    folder: Path,
    name: str | None,
    out: Path | None,
    figures: dict[str, float],
) -> None:
    """The figures, and what to type to use the head."""
    from dlm_core.heads import read_config

    for figure, value in figures.items():
        measured = math.isfinite(value)
        stderr(f"{figure}: {value:.4f}" if measured else f"{figure}: not measured, too few texts")
    info = model.info if out is None else model.info.with_heads({cls.kind: out})
    for line in [] if cls.named_heads else cls.knows(info):
        stderr(line)
    stderr(f"wrote {folder}")
    words: list[object] = ["generate", "-m", model.info.name]
    if cls.named_heads:
        labels = read_config(folder).get("labels") or ["LABEL"]
        place = f"./{folder}" if "/" not in str(folder) else str(folder)
        words += ["-c", f"{cls.kind}:{name if out is None else place}={labels[0]}"]
    else:
        words += ["-c", _example(cls, info)]
        words += [] if out is None else ["--head", f"{cls.kind}={folder}"]
    stderr(f"use it: {command(*words)}")


def _example(cls: type[ControlSpec], info: ModelInfo) -> str:
    """What this head can be asked: the first that a shell would offer, where values are its own."""
    if not cls.knows(info):
        return cls.examples[0] if cls.examples else f"{cls.kind}:..."
    body = cls.complete_in("", info)[0]
    return f"{cls.kind}:{cls.complete_in(body, info)[0]}"


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
    if "rules" in chosen and "rules" not in known:
        raise UsageError(f"option '--rules': control '{cls.kind}' reads no texts by rules")
