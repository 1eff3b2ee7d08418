"""A bundle: one folder that holds a Diffusion-LM and the control heads trained on it.

    config.json          ModelConfig and free-form provenance
    tokenizer.json       the vocabulary
    model.safetensors    the weights (fp16)
    controls/KIND/       what a control trained: head.safetensors, config.json
    controls/KIND/NAME/  the same, of a kind that has many (classify)
    README.md            the model card

Loaded by embedded name, by path, or by Hugging Face hub id; safetensors only, never pickle.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlm_core.config import ModelConfig
from dlm_core.errors import MissingError, UsageError, did_you_mean
from dlm_core.files import write_bytes
from dlm_core.vocab import Vocab

if TYPE_CHECKING:
    import torch

    from dlm_core.diffusion.model import DiffusionLM

FORMAT = "dlm-bundle-1"
EMBEDDED = Path(__file__).parent / "models"


def embedded_names() -> list[str]:
    """Names of the models that ship with the package."""
    return sorted(p.parent.name for p in EMBEDDED.glob("*/config.json"))


def locate(name: str | os.PathLike[str]) -> Path:
    """The folder of a model given by embedded name, path, or hub id (`owner/name`).

    Raises:
        UsageError: neither a string nor a path.
        MissingError: there is no such model, or the hub cannot be reached.
    """
    named = os.fspath(name) if isinstance(name, os.PathLike) else name
    if not isinstance(named, str):
        raise UsageError(
            f"model: expected a name or a path, got {name!r}", "for example 'e2e' or Path('mine')"
        )
    name = named
    if name in embedded_names():
        return EMBEDDED / name
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

        try:
            return Path(snapshot_download(name))
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise MissingError(
                f"model '{name}': not a folder, and the hub gave none ({reason})",
                "give the path of a bundle, or check the network",
            ) from error
    raise MissingError(
        f"model '{name}': no such model or folder", did_you_mean(name, embedded_names())
    )


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a model without torch: enough to check controls against it."""

    path: Path
    config: ModelConfig
    vocab: Vocab
    provenance: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, name: str | os.PathLike[str]) -> ModelInfo:
        """Read config and vocabulary of the bundle `name`.

        Raises:
            MissingError: a file is missing, broken or of another format.
        """
        path = locate(name)
        config_path = path / "config.json"
        try:
            data = json.loads(config_path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise MissingError(
                f"{path} is not a dlm bundle: config.json is missing", "train one: dlm train lm"
            ) from error
        except (OSError, ValueError) as error:
            raise MissingError(f"{config_path}: {error}") from error
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise MissingError(f"{config_path} is not of format {FORMAT}: not a dlm bundle")
        if not isinstance(data.get("model"), dict):
            raise MissingError(f"{config_path}: key 'model' is missing")
        config = ModelConfig.read(data["model"], str(config_path))
        vocab = Vocab.load(path / "tokenizer.json")
        if len(vocab) != config.vocab_size:
            raise MissingError(
                f"{path}: tokenizer.json has {len(vocab)} entries, config.json says "
                f"{config.vocab_size}: the files do not belong together"
            )
        provenance = {k: v for k, v in data.items() if k not in ("format", "model")}
        return cls(path, config, vocab, provenance)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the weights file."""
        digest = hashlib.sha256()
        try:
            digest.update((self.path / "model.safetensors").read_bytes())
        except OSError as error:
            raise MissingError(f"{self.path}: model.safetensors is missing") from error
        return digest.hexdigest()

    def head_path(self, kind: str) -> Path:
        """The folder where a control keeps what it trained on this model."""
        return self.path / "controls" / kind

    @property
    def heads(self) -> list[str]:
        """Kinds with a trained head in this bundle; KIND/NAME where a kind has many."""
        controls = self.path / "controls"
        found = [*controls.glob("*/config.json"), *controls.glob("*/*/config.json")]
        return sorted(path.parent.relative_to(controls).as_posix() for path in found)

    @property
    def max_words(self) -> int:
        """Words a text of this model can have."""
        return self.config.max_len - (2 if self.config.length_mode == "padded" else 0)


def read_weights(path: Path) -> dict[str, Any]:
    """Tensors of a safetensors file in fp32; MissingError names a missing or broken file."""
    import torch
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except FileNotFoundError as error:
        raise MissingError(f"{path} is missing") from error
    except Exception as error:  # safetensors raises its own SafetensorError and OSError
        raise MissingError(f"{path} is broken or truncated: {error}") from error
    return {k: v.float() if v.dtype == torch.float16 else v for k, v in tensors.items()}


def write_weights(path: Path, tensors: dict[str, Any]) -> None:
    """Write floats as fp16 (counts stay as they are)."""
    from safetensors.torch import save_file

    def shrink(name: str, value: torch.Tensor) -> torch.Tensor:
        half = value.is_floating_point() and not name.endswith("counts")
        return (value.half() if half else value).detach().cpu().contiguous()

    save_file({k: shrink(k, v) for k, v in tensors.items()}, path)


class Model:
    """A bundle in memory: what `generate()` and the trainers of control heads work on.

    Attributes:
        info: configuration, vocabulary and folder.
        net: the DiffusionLM, in eval mode, its weights without gradients.
    """

    def __init__(self, info: ModelInfo, net: DiffusionLM) -> None:
        self.info = info
        self.net = net.eval().requires_grad_(False)

    @classmethod
    def load(
        cls, name: str | os.PathLike[str] = "e2e", device: str | torch.device = "cpu"
    ) -> Model:
        """Load a bundle by embedded name, path or hub id.

        Raises:
            UsageError: no such device here, or `name` is no name.
            MissingError: it is missing, truncated, or of another shape or format.
        """
        from dlm_core.diffusion.model import DiffusionLM
        from dlm_core.diffusion.surroundings import loading

        info = ModelInfo.read(name)
        weights_path = info.path / "model.safetensors"
        with loading():
            net = DiffusionLM(info.config, pad=info.vocab.pad, unk=info.vocab.unk)
            try:
                net.load_state_dict(read_weights(weights_path))
            except RuntimeError as error:
                raise MissingError(f"{weights_path} does not fit config.json: {error}") from error
            return cls(info, net).to(device)

    def __repr__(self) -> str:
        count = sum(p.numel() for p in self.net.parameters())
        return (
            f"Model({self.info.path.name!r}, {count / 1e6:.1f} million parameters, "
            f"{len(self.vocab)} words, device={str(self.device)!r}, heads={self.info.heads})"
        )

    def to(self, device: str | torch.device) -> Model:
        """Move the weights, and return the model itself.

        Raises:
            UsageError: no such device here.
        """
        try:
            self.net.to(device)
        except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
            reason = str(error).splitlines()[0]
            if reason.startswith("Expected one of"):  # followed by every device torch ever had
                reason = "no such device"
            raise UsageError(
                f"device '{device}' cannot be used here ({reason})", "cpu, cuda, cuda:1 or mps"
            ) from error
        return self

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Write the bundle, its heads and its card into a folder; returns it.

        Args:
            path: a folder that is new or empty.
            force: a bundle that stands there already is replaced, its heads too.

        Raises:
            UsageError: the folder is not empty, and is no bundle or `force` is not given.
        """
        out, source = Path(path).expanduser(), self.info.path
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            if not (out / "config.json").is_file():
                raise UsageError(f"{out} exists and is no bundle", "choose another folder")
            if not force:
                raise UsageError(f"{out} exists", "choose another folder, or save(..., force=True)")
        kept = [p for p in sorted(source.glob("controls/**/*")) if p.is_file()]
        copies = {
            p.relative_to(source): p.read_bytes()
            for p in (*kept, source / "README.md")
            if p.is_file()
        }
        if (out / "controls").is_dir():
            shutil.rmtree(out / "controls")
        for name, data in copies.items():
            write_bytes(out / name, data)
        save_bundle(out, self.net, self.vocab, self.info.provenance)
        return out

    @property
    def vocab(self) -> Vocab:
        """The word vocabulary."""
        return self.info.vocab

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.net.rounding_bias.device


def save_bundle(
    path: Path, model: DiffusionLM, vocab: Vocab, provenance: dict[str, Any] | None = None
) -> None:
    """Write config.json, tokenizer.json and model.safetensors into `path`."""
    path.mkdir(parents=True, exist_ok=True)
    data = {"format": FORMAT, "model": model.config.model_dump(mode="json"), **(provenance or {})}
    (path / "config.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    vocab.save(path / "tokenizer.json")
    write_weights(path / "model.safetensors", model.state_dict())


def mix(first: Model, second: Model, share: float) -> Model:
    """The model whose weights lie between two others', `share` of the way to the second.

    A fine-tuned model mixed with the one it began from often keeps the strengths of both (Wortsman
    et al. 2022, "Robust fine-tuning of zero-shot models"). Control heads are not mixed: train them
    on the result.

    Raises:
        UsageError: the share is not in [0, 1], or the models differ in shape or vocabulary.
    """
    from dlm_core.diffusion.model import DiffusionLM
    from dlm_core.diffusion.surroundings import loading

    if not 0 <= share <= 1:
        raise UsageError(f"the share is {share}, not between 0 and 1")
    if first.info.config != second.info.config:
        raise UsageError("the models have different shapes", "compare: dlm models show MODEL")
    if first.vocab.words != second.vocab.words:
        raise UsageError("the models have different vocabularies")
    other = second.net.state_dict()
    with loading():
        net = DiffusionLM(first.info.config, pad=first.vocab.pad, unk=first.vocab.unk)
        net.load_state_dict({k: v.lerp(other[k], share) for k, v in first.net.state_dict().items()})
    parts = {"first": first.info.sha256, "second": second.info.sha256, "share": share}
    train = second.info.provenance.get("train")
    return Model(replace(first.info, provenance={"mix": parts, "train": train}), net)


def load(name: str | os.PathLike[str] = "e2e", device: str | torch.device = "cpu") -> Model:
    """Short for `Model.load`."""
    return Model.load(name, device)
