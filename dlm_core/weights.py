"""Files of weights: safetensors, read and written with care. Light: imports no torch by itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlm_core.errors import DLMError, MissingError
from dlm_core.files import write_bytes
from dlm_core.text import load_json

if TYPE_CHECKING:
    import torch


def read_file(path: Path) -> bytes:
    """A file of a bundle, whole; MissingError says why it cannot be read."""
    try:
        if path.exists() and not path.is_file():
            raise MissingError(f"{path} is not a file")
        return path.read_bytes()
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


def read_weights(path: Path) -> dict[str, Any]:
    """Tensors of a safetensors file in fp32.

    Raises:
        MissingError: the file is missing, may not be read or is broken, or a number in it is none.
    """
    import torch
    from safetensors.torch import load

    data = read_file(path)
    try:
        tensors = load(data)
    except Exception as error:  # safetensors raises its own SafetensorError
        raise MissingError(f"{path} is broken or truncated: {error}") from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise MissingError(f"{path} is broken: '{name}' holds numbers that are not finite")
    return {k: v.float() if v.dtype == torch.float16 else v for k, v in tensors.items()}


def write_weights(path: Path, tensors: dict[str, Any]) -> None:
    """Write floats as fp16 (counts stay as they are), whole or not at all.

    Raises:
        DLMError: a number is not finite, or too large for fp16; or the disk is full.
    """
    import torch
    from safetensors.torch import save

    def shrink(name: str, value: torch.Tensor) -> torch.Tensor:
        half = value.is_floating_point() and not name.endswith("counts")
        small = (value.half() if half else value).detach().cpu().contiguous()
        if small.is_floating_point() and not bool(torch.isfinite(small).all()):
            raise DLMError(
                f"{path} is not written: '{name}' holds numbers that are not finite",
                "training diverged: train anew with a lower learning rate",
            )
        return small

    write_bytes(path, save({k: shrink(k, v) for k, v in tensors.items()}))


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
