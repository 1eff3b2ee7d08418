"""`dlm models`: the models at hand. Reads weights' headers only, so that it needs no torch."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlm_cli import completion, travel
from dlm_cli.files import check_new, expand
from dlm_cli.help import examples, group
from dlm_cli.options import DEFAULT_MODEL, MODEL_HELP, Json, default_model
from dlm_cli.output import print_json, print_table, stderr, tell_error
from dlm_cli.words import printable

if TYPE_CHECKING:
    from dlm_core.bundle import ModelInfo

Force = Annotated[
    bool, typer.Option("--force", metavar="", help="Replace the model that stands there.")
]

app = group("List, show, copy and share models.")


@app.command("list", epilog=examples("dlm models list", "dlm models list runs/*"))
def list_models(
    folders: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help="More models to list.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the embedded models, and those named."""
    from dlm_core.bundle import ModelInfo, embedded_names
    from dlm_core.errors import DLMError

    rows, worst = [], 0
    for name in [*embedded_names(), *(folders or ())]:
        try:
            info = ModelInfo.read(name)
            rows.append(
                {
                    "model": name,
                    "parameters": parameter_count(info),
                    "vocabulary": len(info.vocab),
                    "max_words": info.max_words,
                    "heads": info.heads,
                }
            )
        except DLMError as error:
            tell_error(error.message, error.hint)
            worst = max(worst, error.exit_code)
    if as_json:
        print_json(rows)
    else:
        print_table(
            [
                (
                    row["model"],
                    _millions(row["parameters"]),
                    row["vocabulary"],
                    row["max_words"],
                    ", ".join(row["heads"]) or "none",
                )
                for row in rows
            ],
            ("MODEL", "PARAMETERS", "VOCABULARY", "MAX WORDS", "TRAINED CONTROLS"),
        )
    raise typer.Exit(worst)


@app.command("show", epilog=examples("dlm models show e2e", "dlm models show runs/mine --json"))
def show(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help=MODEL_HELP,
            callback=default_model,
            autocompletion=completion.models,
        ),
    ] = DEFAULT_MODEL,
    as_json: Json = False,
) -> None:
    """Show a model: its shape, trained controls, checksum, training and card."""
    from dlm_core.bundle import ModelInfo

    info = ModelInfo.read(model)
    card = info.path / "README.md"
    data: dict[str, Any] = {
        "model": model,
        "path": str(info.path),
        "sha256": info.sha256,
        "parameters": parameter_count(info),
        "vocabulary": len(info.vocab),
        "max_words": info.max_words,
        "noise_schedule": f"{info.config.noise_schedule}, T = {info.config.train_steps}",
        "config": info.config.model_dump(mode="json"),
        "controls": {kind: _head(info.head_path(kind) / "config.json") for kind in info.heads},
        **{k: v for k, v in info.provenance.items() if k != "controls"},
        "card": card.read_bytes().decode("utf-8", "replace") if card.is_file() else None,
    }
    if as_json:
        print_json(data)
        return
    sections = {key: data.pop(key) for key in list(data) if isinstance(data[key], dict)}
    text = data.pop("card")
    if "train" in sections:
        sections["train"].pop("model", None)  # told by config
    data["parameters"] = f"{data['parameters']:,}"
    data["trained controls"] = ", ".join(sections["controls"]) or "none"
    print_table(list(data.items()))
    for name, section in sections.items():
        if section:
            print(f"\n{printable(name)}")
            print_table([("", *row) for row in _flat(section)])
    if text:
        print(f"\ncard ({card})\n\n{printable(text.strip())}")


@app.command(
    "mix", epilog=examples("dlm models mix runs/first runs/fine-tuned --share 0.3 --out runs/mine")
)
def mix(
    first: Annotated[str, typer.Argument(metavar="FIRST", help=MODEL_HELP)],
    second: Annotated[str, typer.Argument(metavar="SECOND", help="One fine-tuned from it.")],
    out: Annotated[Path, typer.Option(help="Folder of the new bundle.", callback=expand)],
    share: Annotated[float, typer.Option(help="How far to go to SECOND, 0 to 1.")] = 0.5,
    force: Force = False,
) -> None:
    """Write the model between two: their weights, averaged. Then train its controls' heads."""
    from dlm_core.bundle import Model, save_bundle
    from dlm_core.commands import command
    from dlm_core.mixing import mix as mix_models

    name = check_new(out, force)
    mixed = mix_models(Model.load(first), Model.load(second), share)
    save_bundle(out, mixed.net, mixed.vocab, mixed.info.provenance)
    train = command("train", "control", "KIND", "--model", name, "--corpus", "READER:PATH")
    stderr(f"wrote the bundle {out}; its controls: {train}")


@app.command("copy", epilog=examples("dlm models copy e2e mine"))
def copy(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP, callback=default_model)],
    out: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of the copy.", callback=expand)
    ],
    force: Force = False,
) -> None:
    """Copy a model with its controls' heads: one of your own, to train heads in."""
    from dlm_core.bundle import ModelInfo, copy_bundle
    from dlm_core.commands import command

    name = check_new(out, force)
    copy_bundle(ModelInfo.read(model), out)
    train = command("train", "control", "KIND", "--model", name, "--corpus", "READER:PATH")
    stderr(f"wrote the bundle {out}; train a head of yours in it: {train}")


app.command(
    "push",
    epilog=examples("dlm models push runs/mine me/mine", "dlm models push mine me/mine@wider"),
)(travel.push)
app.command(
    "pull",
    epilog=examples(
        "dlm models pull them/theirs", "HF_HUB_OFFLINE=1 dlm generate -m them/theirs -n 4"
    ),
)(travel.pull)
app.command(
    "card",
    epilog=examples(
        "dlm models card mine", "dlm models card mine --report report.json --data E2E --write"
    ),
)(travel.card)


def parameter_count(info: ModelInfo) -> int:
    """Trained numbers of a model; the table of text lengths is data, not a parameter."""
    from dlm_core.weights import read_header

    header = read_header(info.path / "model.safetensors")
    return sum(math.prod(t["shape"]) for name, t in header.items() if not name.endswith("counts"))


def _head(path: Path) -> dict[str, Any]:
    """What training a control reported."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        return {k: config[k] for k in ("figures", "steps", "seed") if k in config}
    except (OSError, ValueError, TypeError) as error:
        return {"broken": str(error)}


def _flat(data: dict[str, Any], prefix: str = "") -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    for key, value in data.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list) and len(value) > 8:
            rows.append((f"{prefix}{key}", f"{len(value):,} entries"))
        else:
            rows.append((f"{prefix}{key}", value))
    return rows


def _millions(count: Any) -> str:
    return f"{count / 1e6:.1f} M"
