"""Heads of controls: what training leaves in a folder, and whether it belongs to a model.

A head reads a model's word ids, word vectors and noise. Each stores the digest of the model it was
trained for (`ModelInfo.digest`); one check refuses it for another. Heads of earlier versions have
none and work as long as their sizes fit. Light: imports no torch by itself.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlm_core.bundle import ModelInfo
from dlm_core.errors import MissingError
from dlm_core.files import write_json
from dlm_core.text import load_json
from dlm_core.weights import MOST_TEXT, fitting, read_file, write_weights

if TYPE_CHECKING:
    from torch import Tensor, nn

    from dlm_core.bundle import Model

MODEL = "model"
"""Key of the digest in a head's config.json."""


def state_of(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """What tells a head from what stood in its folder before: its files, when and how large."""
    found = []
    for path in (folder / "config.json", folder / "head.safetensors"):
        if path.is_file():
            found.append((str(path), (stat := path.stat()).st_mtime_ns, stat.st_size))
    return tuple(found)


def read_config(folder: Path, hint: str | None = None) -> dict[str, Any]:
    """config.json of a head.

    Raises:
        MissingError: it is missing, may not be read, or is no JSON object.
    """
    path = folder / "config.json"
    try:
        config = load_json(read_file(path, MOST_TEXT))
    except ValueError as error:
        raise MissingError(f"{path} is broken: {error}", hint) from error
    except MissingError as error:
        raise MissingError(error.message, error.hint or hint) from error
    if not isinstance(config, dict):
        raise MissingError(f"{path} is broken: not a JSON object", hint)
    return config


def read_labels(folder: Path, weights: dict[str, Tensor] | None = None) -> list[str]:
    """The labels that config.json of a head names, each once.

    Args:
        folder: of the head.
        weights: its tensors, if read, one of which has as many columns or rows.

    Raises:
        MissingError: it names none, or something else than names.
    """
    labels = read_config(folder).get("labels")
    if (
        not isinstance(labels, list)
        or not labels
        or not all(isinstance(label, str) for label in labels)
        or len(set(labels)) < len(labels)
    ):
        raise broken(folder, "'labels' is no list of different names")
    if weights is not None and not any(len(labels) in tensor.shape for tensor in weights.values()):
        raise broken(folder, f"'labels' has {len(labels)} names, not as many as the weights")
    return labels


def read_settings(folder: Path, weights: dict[str, Tensor], key: str) -> dict[str, int]:
    """The sizes of a net that config.json of a head names, none larger than its weights are.

    Raises:
        MissingError: something is no size, or larger.
    """
    settings = read_config(folder).get(key)
    if not isinstance(settings, dict):
        raise broken(folder, f"'{key}' is missing, or no JSON object")
    most = max((size for tensor in weights.values() for size in tensor.shape), default=0)
    for name, size in settings.items():
        if not isinstance(size, int) or not 0 < size <= most:
            raise broken(folder, f"'{key}.{name}' is {str(size)[:40]}, no size of its weights")
    return settings


def broken(folder: Path, why: object) -> MissingError:
    """The error for a head whose config.json is not what the control wrote."""
    return MissingError(f"{folder / 'config.json'} is broken: {why}", "train the head anew")


def belongs(config: dict[str, Any]) -> dict[str, Any]:
    """What the weights of a head are only right with: its config.json without the figures."""
    return {key: value for key, value in config.items() if key != "figures"}


def check_head(info: ModelInfo, kind: str, digest: str | None = None) -> Path:
    """The folder of a head that is there and was trained for this model.

    Args:
        info: the model.
        kind: of the control; KIND/NAME where it has many heads.
        digest: of the model, where it is known already.

    Raises:
        MissingError: there is none, or it was trained for another model.
    """
    folder = info.head_path(kind)
    control, _, name = kind.partition("/")
    train = info.train_command(control, name or None)
    try:
        there = (folder / "config.json").is_file()
    except OSError as error:
        raise MissingError(f"cannot read {folder}: {error.strerror or error}") from error
    if not there:
        if kind in info.head_places:
            raise MissingError(f"{folder}: no trained head for control '{kind}'", train)
        raise MissingError(
            f"model '{info.name or info.path.name}' has no trained head for control '{kind}'", train
        )
    check_digest(info, kind, folder, digest)
    return folder


def check_digest(info: ModelInfo, kind: str, folder: Path, digest: str | None = None) -> None:
    """Refuse a head that says it was trained for another model.

    Raises:
        MissingError: it was, or its config.json is broken.
    """
    trained_for = read_config(folder).get(MODEL)
    if trained_for is not None and trained_for != (digest or info.digest):
        raise foreign(info, kind, folder)


def foreign(info: ModelInfo, kind: str, folder: Path, why: str = "") -> MissingError:
    """The error for a head of another model."""
    control, _, name = kind.partition("/")
    return MissingError(
        f"the head of control '{control}' in {folder} was trained for another model than "
        f"'{info.name or info.path.name}'{why}",
        info.train_command(control, name or None),
    )


def fill(
    module: nn.Module,
    weights: dict[str, Tensor],
    info: ModelInfo,
    kind: str,
    folder: Path | None = None,
) -> None:
    """Put the tensors of the head of `kind`, in `folder` or where the model has it, into its net.

    Raises:
        MissingError: the sizes differ (it was trained for another model, or its files do not belong
            together), or something else than floats stands where they should.
    """
    folder = folder or info.head_path(kind)
    try:
        module.load_state_dict(fitting(weights, module.state_dict(), folder))
    except RuntimeError as error:
        sizes = next((line.strip() for line in str(error).splitlines()[1:]), str(error))
        if MODEL in read_config(folder):  # which was compared before
            raise MissingError(
                f"{folder} is broken: its weights do not fit its config.json: {sizes}",
                "restore the files as they were, or train the head anew",
            ) from error
        raise foreign(info, kind, folder, f": {sizes}") from error


def write_head(
    model: Model,
    out: Path,
    weights: dict[str, Tensor],
    config: dict[str, Any],
    bits: int | None = None,
) -> None:
    """Write head.safetensors and config.json, with the digest of the model it is for.

    `bits` of a weight are as `write_weights` has them; the model's own if omitted.
    """
    figures = {k: v for k, v in config.get("figures", {}).items() if math.isfinite(v)}
    config = {MODEL: model.digest, **config, "figures": figures}
    write_weights(out / "head.safetensors", weights, belongs(config), bits or model.info.bits)
    write_json(out / "config.json", config, indent=1)


def stamp(folder: Path, digest: str) -> None:
    """Add the digest to the config.json that a control of a plugin wrote by itself."""
    path = folder / "config.json"
    if not path.is_file():
        return
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return  # whatever it is, it is the plugin's
    if isinstance(config, dict) and MODEL not in config:
        write_json(path, {MODEL: digest, **config}, indent=1)
