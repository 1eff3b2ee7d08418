"""`dlm models`: the models at hand. Reads weights' headers only, so that it needs no torch."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlm_cli.help import examples, group
from dlm_cli.options import MODEL_HELP, Json
from dlm_cli.output import print_json, print_table, printable, stderr

if TYPE_CHECKING:
    from dlm_core.bundle import ModelInfo

app = group("List and show models.")


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
            stderr(f"error: {error.message}")
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
    model: Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP)] = "e2e",
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
        "card": card.read_text(encoding="utf-8", errors="replace") if card.is_file() else None,
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
    out: Annotated[Path, typer.Option(help="Folder of the new bundle.")],
    share: Annotated[float, typer.Option(help="How far to go to SECOND, 0 to 1.")] = 0.5,
) -> None:
    """Write the model between two: their weights, averaged. Then train its controls' heads."""
    from dlm_core.bundle import Model, save_bundle
    from dlm_core.bundle import mix as mix_models
    from dlm_core.errors import MissingError

    mixed = mix_models(Model.load(first), Model.load(second), share)
    try:
        save_bundle(out, mixed.net, mixed.vocab, mixed.info.provenance)
    except OSError as error:
        raise MissingError(f"--out: cannot write {out}: {error.strerror or error}") from error
    stderr(f"wrote the bundle {out}; its controls: dlm train control KIND --model {out} ...")


def parameter_count(info: ModelInfo) -> int:
    """Trained numbers of a model; the table of text lengths is data, not a parameter."""
    header = read_header(info.path / "model.safetensors")
    return sum(math.prod(t["shape"]) for name, t in header.items() if not name.endswith("counts"))


def read_header(path: Path) -> dict[str, dict[str, Any]]:
    """Shapes and places of the tensors in a safetensors file.

    Raises:
        MissingError: the file is missing, truncated, or no safetensors file.
    """
    from dlm_core.errors import MissingError

    try:
        with path.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            if size > path.stat().st_size:
                raise ValueError("its header is longer than the file")
            header: dict[str, dict[str, Any]] = json.loads(stream.read(size))
        header.pop("__metadata__", None)
        end = max((t["data_offsets"][1] for t in header.values()), default=0)
        if path.stat().st_size != 8 + size + end:
            raise ValueError(f"{path.stat().st_size} bytes, {8 + size + end} expected")
    except FileNotFoundError as error:
        raise MissingError(f"{path} is missing") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MissingError(f"{path} is broken or truncated: {error}") from error
    return header


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
        else:
            rows.append((f"{prefix}{key}", value))
    return rows


def _millions(count: Any) -> str:
    return f"{count / 1e6:.1f} M"
