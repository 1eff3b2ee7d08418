"""Files of weights: safetensors, read and written with care. Light: imports no torch by itself.

Each file names in its metadata, under `dlm`, what it was written with: the SHA-256 of its tensors,
and where it belongs to other files (a configuration, a vocabulary) that of what they say.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlm_core.errors import DLMError, MissingError
from dlm_core.files import write_bytes
from dlm_core.text import load_json

if TYPE_CHECKING:
    import torch

LARGEST = 65_504.0
"""No weight is larger: it is what fp16 can hold."""
MOST_TEXT = 1 << 26
"""Bytes of a configuration at most."""
_STAMP = "dlm"
_SCALE = " scale"
"""Ends the name of what the rows of a matrix in int8 are multiplied by."""
_ROW = 64
"""Numbers of a row that are worth a scale."""
_APART = "restore the files as they were, or make it anew"


def read_file(path: Path, most: int | None = None) -> bytes:
    """A file of a bundle, whole; MissingError says why it cannot be read, or is not.

    Args:
        path: a regular file: a pipe or a device may never end.
        most: bytes it may have.
    """
    try:
        if path.exists() and not path.is_file():
            raise MissingError(f"{path} is not a file")
        if most is not None and (size := path.stat().st_size) > most:
            raise MissingError(f"{path} is broken: {size:,} bytes, {most:,} at most")
        return path.read_bytes()
    except MemoryError as error:
        raise MissingError(f"{path} is larger than the memory") from error
    except FileNotFoundError as error:
        raise MissingError(f"{path} is missing") from error
    except OSError as error:
        raise MissingError(f"cannot read {path}: {error.strerror or error}") from error


def read_header(path: Path) -> dict[str, dict[str, Any]]:
    """Shapes and places of the tensors in a safetensors file.

    Raises:
        MissingError: the file is missing, truncated, or no safetensors file.
    """
    try:
        if path.exists() and not path.is_file():
            raise MissingError(f"{path} is not a file")
        with path.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            if size > path.stat().st_size:
                raise ValueError("its header is longer than the file")
            header: dict[str, dict[str, Any]] = load_json(stream.read(size))
        header.pop("__metadata__", None)
        end = max((t["data_offsets"][1] for t in header.values()), default=0)
        if path.stat().st_size != 8 + size + end:
            raise ValueError(f"{path.stat().st_size} bytes, {8 + size + end} expected")
    except FileNotFoundError as error:
        raise MissingError(f"{path} is missing") from error
    except OSError as error:
        raise MissingError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MissingError(f"{path} is broken or truncated: {error}") from error
    return header


def check_sizes(path: Path, header: dict[str, dict[str, Any]], config: Any) -> None:
    """Compare the shape that config.json says with the weights, before memory is asked for.

    Args:
        path: of the weights.
        header: theirs.
        config: a `ModelConfig`.

    Raises:
        MissingError: names what differs.
    """
    shapes: list[list[int]] = [tensor.get("shape", []) for tensor in header.values()]
    sizes = {size for shape in shapes for size in shape}
    numbers = sum(math.prod(shape) for shape in shapes)
    blocks = config.block_weights
    tables = (2 * config.vocab_size + 4 * config.max_len) * (config.hidden + config.embedding_dim)
    found = {
        "vocab_size and embedding_dim": [config.vocab_size, config.embedding_dim] in shapes,
        "hidden": config.hidden in sizes,
        "layers": config.layers <= len(header) and blocks <= numbers,
        "max_len": [config.max_len, config.hidden] in shapes and [config.max_len + 1] in shapes,
        "size": numbers <= 4 * (blocks + tables),
    }
    for name, fits in found.items():
        if not fits:
            raise MissingError(f"{path} does not fit config.json: another {name}")


def read_weights(path: Path, belongs: Any = None) -> dict[str, Any]:
    """Tensors of a safetensors file in fp32.

    Args:
        path: of the file.
        belongs: what the files say that it belongs to, as `write_weights` was told it.

    Raises:
        MissingError: the file is missing, may not be read or is broken, a number in it is none, or
            it does not belong to the other files.
    """
    import torch
    from safetensors.torch import load

    data = read_file(path)
    try:
        tensors = load(data)
    except Exception as error:  # safetensors raises its own SafetensorError
        raise MissingError(f"{path} is broken or truncated: {error}") from error
    for name in [name for name in tensors if name + _SCALE in tensors]:
        rows, scale = tensors[name], tensors.pop(name + _SCALE)
        if rows.dim() != 2 or scale.shape != (len(rows), 1):
            found = f"{list(scale.shape)} for a matrix of {list(rows.shape)}"
            raise MissingError(f"{path} is broken: '{name + _SCALE}' has the shape {found}")
        tensors[name] = rows.float() * scale.float()
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            continue
        numbers = tensor.float()
        if not bool(torch.isfinite(numbers).all()):
            raise MissingError(f"{path} is broken: '{name}' holds numbers that are not finite")
        if not _counts(name) and bool((numbers.abs() > LARGEST).any()):
            raise MissingError(f"{path} is broken: '{name}' holds numbers above {LARGEST:,.0f}")
    _check_stamp(path, data, belongs)
    return {k: v.float() if v.dtype == torch.float16 else v for k, v in tensors.items()}


def fitting(tensors: dict[str, Any], wanted: dict[str, Any], path: Path) -> dict[str, Any]:
    """`tensors`, which hold floats where `wanted`, a net's own, does.

    Raises:
        MissingError: names the file and the tensor.
    """
    for name, tensor in tensors.items():
        floats = name not in wanted or wanted[name].is_floating_point()
        if floats and not tensor.is_floating_point():
            kind = str(tensor.dtype).removeprefix("torch.")
            raise MissingError(f"{path} is broken: '{name}' holds numbers of type {kind}")
    return tensors


def write_weights(path: Path, tensors: dict[str, Any], belongs: Any = None, bits: int = 16) -> None:
    """Write floats as fp16 (counts stay as they are), whole or not at all.

    Args:
        path: of the file.
        tensors: by name.
        belongs: what other files say that it is only right with; a value that JSON has.
        bits: 8 writes large matrices, but for word vectors, as int8 and a scale a row.

    Raises:
        DLMError: a number is not finite, or too large for fp16; or the disk is full.
    """
    import torch
    from safetensors.torch import save

    def shrink(name: str, value: torch.Tensor) -> torch.Tensor:
        half = value.is_floating_point() and not _counts(name)
        small = (value.half() if half else value).detach().cpu().contiguous()
        if small.is_floating_point() and not bool(torch.isfinite(small).all()):
            raise DLMError(
                f"{path} is not written: '{name}' holds numbers that are not finite",
                "training diverged: train anew with a lower learning rate",
            )
        return small

    small = {k: shrink(k, v) for k, v in tensors.items()}
    if bits == 8:
        small = _in_bytes(small)
    stamp = _digest(save(small))
    if belongs is not None:
        stamp += f" {_digest_of(belongs)}"
    write_bytes(path, save(small, {_STAMP: stamp}))


def _in_bytes(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Large matrices as the nearest of 255 multiples of 1/127 of the largest of a row."""
    import torch

    found = {}
    for name, value in tensors.items():
        found[name] = value
        if (
            value.dtype == torch.float16 and value.dim() == 2 and value.shape[1] >= _ROW
            and not name.endswith("embedding.weight")
        ):  # fmt: skip
            scale = (value.float().abs().amax(1, keepdim=True) / 127).clamp(min=2e-7).half()
            found[name] = (value.float() / scale.float()).round().clamp(-127, 127).to(torch.int8)
            found[name + _SCALE] = scale
    return found


def _counts(name: str) -> bool:
    """Holds counts, which may be large."""
    return name.endswith("counts")


def _digest(data: bytes) -> str:
    """Of the tensors in a safetensors file, whatever its metadata."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header.pop("__metadata__", None)
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    digest.update(memoryview(data)[end:])
    return digest.hexdigest()


def _digest_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _check_stamp(path: Path, data: bytes, belongs: Any) -> None:
    """Compare a file with what it says it was written with; older ones say nothing."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    weights, _, others = (header.get("__metadata__") or {}).get(_STAMP, "").partition(" ")
    if weights and weights != _digest(data):
        raise MissingError(f"{path} is broken: its weights are not those that were written", _APART)
    if others and belongs is not None and others != _digest_of(belongs):
        raise MissingError(
            f"{path} does not belong to the files beside it: their content is not what it was "
            "written with",
            _APART,
        )


def read_halves(path: Path, name: str) -> bytes:
    """The numbers of one tensor as fp16, little endian, read without torch.

    Raises:
        MissingError: the file cannot be read, or has no such tensor.
    """
    header = read_header(path)
    if name not in header:
        raise MissingError(f"{path} has no '{name}'")
    start, end = header[name]["data_offsets"]
    data = read_file(path)
    first = 8 + int.from_bytes(data[:8], "little")
    raw, dtype = data[first + start : first + end], header[name]["dtype"]
    return raw if dtype == "F16" else _halves(raw, dtype, f"{path}: '{name}'")


def _halves(raw: bytes, dtype: str, place: str) -> bytes:
    """Numbers of a safetensors file as fp16."""
    import numpy as np

    kinds = {"F32": np.float32, "F64": np.float64}
    if dtype not in kinds:
        raise MissingError(f"{place} is of type {dtype}, not F16 or F32")
    return np.frombuffer(raw, kinds[dtype]).astype(np.float16).tobytes()
