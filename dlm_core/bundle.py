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

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dlm_core.commands import command
from dlm_core.config import BundleSampling, ModelConfig, TextConfig
from dlm_core.errors import DLMError, MissingError, UsageError
from dlm_core.files import writing
from dlm_core.locate import EMBEDDED as EMBEDDED
from dlm_core.locate import embedded_names as embedded_names
from dlm_core.locate import locate
from dlm_core.text import load_json
from dlm_core.vocab import Vocab
from dlm_core.weights import MOST_TEXT, check_sizes, fitting, read_file, read_halves, read_header
from dlm_core.weights import read_weights as read_weights
from dlm_core.weights import write_weights as write_weights

if TYPE_CHECKING:
    import torch

    from dlm_core.diffusion.model import DiffusionLM

_T = TypeVar("_T")
FORMAT = "dlm-bundle-1"
WEIGHTS = "model.safetensors"
SAMPLING = "sampling.json"
"""How its texts are made where nobody says; need not be there."""
EMBEDDING = "embedding.weight"


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a model without torch: enough to check controls against it."""

    path: Path
    config: ModelConfig
    vocab: Vocab
    provenance: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    """As the user named it."""
    head_places: Mapping[str, Path] = field(default_factory=dict)
    """Folders of heads that do not lie in the bundle, by kind (KIND/NAME where it has many)."""
    sampling: BundleSampling = field(default_factory=BundleSampling)
    """What it says of how its texts are made."""

    @classmethod
    def read(cls, name: str | os.PathLike[str]) -> ModelInfo:
        """Read config and vocabulary of the bundle `name`.

        Raises:
            MissingError: a file is missing, broken or of another format.
        """
        path = locate(name)
        config_path = path / "config.json"
        if not config_path.exists() and os.access(path, os.X_OK):
            raise MissingError(
                f"{path} is not a dlm bundle: config.json is missing", "train one: dlm train lm"
            )
        try:
            data = load_json(read_file(config_path, MOST_TEXT))
        except ValueError as error:
            raise MissingError(f"{config_path}: {error}") from error
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            newer = isinstance(data, dict) and str(data.get("format")).startswith("dlm-bundle-")
            raise MissingError(
                f"{config_path} is not of format {FORMAT}: not a dlm bundle",
                f"it is of format {data['format']}: upgrade dlm" if newer else None,
            )
        if not isinstance(data.get("model"), dict):
            raise MissingError(f"{config_path}: key 'model' is missing")
        try:
            config = ModelConfig.read(data["model"], str(config_path))
        except UsageError as error:
            raise MissingError(error.message, error.hint) from error
        vocab = Vocab.load(path / "tokenizer.json")
        if len(vocab) != config.vocab_size:
            raise MissingError(
                f"{path}: tokenizer.json has {len(vocab)} entries, config.json says "
                f"{config.vocab_size}: the files do not belong together"
            )
        provenance = {k: v for k, v in data.items() if k not in ("format", "model")}
        sampling = BundleSampling.kept(path / SAMPLING)
        return cls(path, config, vocab, provenance, os.fspath(name), sampling=sampling)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the weights file."""
        return hashlib.sha256(read_file(self.path / WEIGHTS)).hexdigest()

    @cached_property
    def digest(self) -> str:
        """Names what a head relies on: words, their vectors and the noise; from the files alone."""
        return _digest(self, read_halves(self.path / WEIGHTS, EMBEDDING))

    @property
    def text(self) -> TextConfig:
        """How its texts were prepared, as those of its heads, writer and teacher must be."""
        return TextConfig.kept(self.provenance.get("train"), self.path / "config.json")

    @property
    def bits(self) -> int:
        """Of its weights, as `write_weights` has them, and of those of its heads."""
        return 8 if (self.provenance.get("train") or {}).get("bits") == 8 else 16

    @property
    def embedded(self) -> bool:
        """It ships with the package, which nothing may write into."""
        return self.path.parent == EMBEDDED

    def with_heads(self, heads: Mapping[str, Path | str]) -> ModelInfo:
        """The same model, with heads of these kinds from folders of their own."""
        places = {kind: Path(place).expanduser() for kind, place in heads.items()}
        return replace(self, head_places={**self.head_places, **places})

    def head_path(self, kind: str) -> Path:
        """The folder where a control keeps what it trained on this model."""
        return self.head_places.get(kind) or self.path / "controls" / kind

    @property
    def heads(self) -> list[str]:
        """Kinds with a trained head; KIND/NAME where a kind has many.

        Raises:
            MissingError: the folder may not be read.
        """
        controls = self.path / "controls"
        try:
            folders = [p for p in controls.iterdir() if p.is_dir()] if controls.is_dir() else []
            folders += [p for folder in folders for p in folder.iterdir() if p.is_dir()]
            found = {p.relative_to(controls).as_posix() for p in folders if _has_config(p)}
        except OSError as error:
            raise MissingError(f"cannot read {controls}: {error.strerror or error}") from error
        return sorted(found | set(self.head_places))

    def train_command(self, kind: str, name: str | None = None) -> str:
        """What to type for a head of this model; a model that ships is copied first."""
        model = self.name or str(self.path)
        first = ""
        if self.embedded:
            first, model = command("models", "copy", model, f"my-{model}") + "; ", f"my-{model}"
        data = ["--corpus", "READER:PATH"]
        if kind == "writer":  # of the bundle, and of no control alone
            return first + command("train", "writer", "--model", model, *data)
        if name is not None:
            data = ["--data", "labelled.jsonl", "--name", name]
        return first + command("train", "control", kind, "--model", model, *data)

    @cached_property
    def of_whole_words(self) -> ModelInfo:
        """The same model, as it is where no word of a text is spelled in pieces."""
        return replace(self, vocab=self.vocab.whole)

    @property
    def max_words(self) -> int:
        """Positions a text of this model can have, each a word or a piece of one."""
        return self.config.max_len - (2 if self.config.length_mode == "padded" else 0)

    def holds(self, text: str) -> bool:
        """A text has a word, and room in this model."""
        return 0 < len(self.vocab.encode(text)) <= self.max_words


class Model:
    """A bundle in memory: what `generate()` and the trainers of control heads work on.

    Attributes:
        info: configuration, vocabulary and folder.
        net: the DiffusionLM, in eval mode, its weights without gradients.
    """

    def __init__(self, info: ModelInfo, net: DiffusionLM) -> None:
        self.info = info
        self.net = net.eval().requires_grad_(False)
        self._kept: dict[Hashable, Any] = {}

    def keep(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """What `make` gives, made once for as long as the model stays where it is."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]  # type: ignore[no-any-return]

    @classmethod
    def load(
        cls,
        name: str | os.PathLike[str] = "e2e",
        device: str | torch.device = "cpu",
        heads: Mapping[str, Path | str] | None = None,
    ) -> Model:
        """Load a bundle by embedded name, path or hub id.

        Args:
            name: which.
            device: where to compute.
            heads: folders of heads that do not lie in the bundle, by kind.

        Raises:
            UsageError: no such device here, or `name` is no name.
            MissingError: it is missing, truncated, or of another shape or format.
        """
        from dlm_core.diffusion.model import DiffusionLM
        from dlm_core.diffusion.surroundings import loading

        info = ModelInfo.read(name).with_heads(heads or {})
        weights_path = info.path / WEIGHTS
        check_sizes(weights_path, read_header(weights_path), info.config)
        given = info.config.model_dump(mode="json", exclude_unset=True)  # no later default
        with loading():
            weights = read_weights(weights_path, _binding(given, info.vocab))
            net = DiffusionLM(info.config, pad=info.vocab.pad, unk=info.vocab.unk)
            try:
                net.load_state_dict(fitting(weights, net.state_dict(), weights_path))
            except RuntimeError as error:
                raise MissingError(f"{weights_path} does not fit config.json: {error}") from error
            if bool((net.length_counts < 0).any()):
                raise MissingError(f"{weights_path} is broken: 'length_counts' holds negative ones")
            return cls(info, net).to(device)

    def __repr__(self) -> str:
        count = sum(p.numel() for p in self.net.parameters())
        pieces = len(self.vocab.piece_ids)
        words = f"{len(self.vocab) - pieces} words" + (f", {pieces} pieces" if pieces else "")
        return (
            f"Model({self.info.path.name!r}, {count / 1e6:.1f} million parameters, "
            f"{words}, device={str(self.device)!r}, heads={self.info.heads})"
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
        self._kept.clear()
        return self

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Write the bundle, its heads and its card into a folder; returns it.

        Args:
            path: a folder that is new or empty.
            force: a bundle that stands there already is replaced, its heads too.

        Raises:
            UsageError: the folder is not empty, and is no bundle or `force` is not given.
        """
        out = Path(path).expanduser()
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            if not is_bundle(out):
                raise UsageError(f"{out} exists and is no bundle", "choose another folder")
            if not force:
                raise UsageError(f"{out} exists", "choose another folder, or save(..., force=True)")
        if not (out.exists() and out.samefile(self.info.path)):
            copy_bundle(self.info, out)
        save_bundle(out, self.net, self.vocab, self.info.provenance, self.info.bits)
        return out

    @property
    def digest(self) -> str:
        """As `ModelInfo.digest`, of the weights in memory."""
        words = self.net.state_dict()[EMBEDDING].detach().half().cpu().contiguous()
        return _digest(self.info, words.numpy().tobytes())

    @property
    def vocab(self) -> Vocab:
        """The word vocabulary."""
        return self.info.vocab

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.net.rounding_bias.device


def save_bundle(
    path: Path,
    model: DiffusionLM,
    vocab: Vocab,
    provenance: dict[str, Any] | None = None,
    bits: int = 16,
) -> None:
    """Write config.json, tokenizer.json and model.safetensors into `path`.

    Args:
        path: of the folder.
        model: the net.
        vocab: its words.
        provenance: further tables of config.json.
        bits: of a weight, as `write_weights` has it.
    """
    shape = model.config.model_dump(mode="json")
    data = {"format": FORMAT, "model": shape, **(provenance or {})}
    # all three on the disk before the first takes its place: an old bundle stays whole until then
    with (
        writing(path / "config.json") as config,
        writing(path / "tokenizer.json") as tokenizer,
        writing(path / WEIGHTS) as weights,
    ):
        config.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
        vocab.save(tokenizer)
        write_weights(weights, model.state_dict(), _binding(shape, vocab), bits)


def is_bundle(path: Path) -> bool:
    """A bundle stands there, whole or not."""
    return (path / "config.json").exists() or (path / WEIGHTS).exists()


def copy_bundle(source: ModelInfo, target: Path) -> None:
    """Copy a model with its heads and card; `target` appears whole, in place of a bundle there.

    Raises:
        DLMError: the disk is full, or the folder cannot be written.
        UsageError: something else than a bundle stands there.
    """
    if target.exists() and not (
        target.is_dir() and (is_bundle(target) or not any(target.iterdir()))
    ):
        raise UsageError(f"{target} is there and is no bundle", "choose another folder")
    if target.exists() and target.samefile(source.path):
        raise UsageError(f"{target} is the model itself", "choose another folder")
    target = target.absolute()
    new = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        new.mkdir(parents=True)
        for name in ("config.json", "tokenizer.json", WEIGHTS, SAMPLING, "README.md"):
            if (source.path / name).is_file():
                shutil.copyfile(source.path / name, new / name)
        if (source.path / "controls").is_dir():
            controls = new / "controls"
            shutil.copytree(source.path / "controls", controls, copy_function=_copy_file)
        if target.exists():
            shutil.rmtree(target)
        new.rename(target)
    except (OSError, shutil.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DLMError(
            f"cannot write {target}: {reason}", "make room, or choose another"
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _copy_file(source: str, target: str) -> None:
    """Copy a regular file; a device that a link leads to may never end."""
    if not Path(source).is_file():
        raise OSError(errno.EINVAL, f"{source} is not a file")
    shutil.copyfile(source, target)


def _binding(shape: dict[str, Any], vocab: Vocab) -> list[Any]:
    """What the weights are only right with: the shape, the noise, and the words by their ids."""
    return [shape, vocab.words]


def _has_config(folder: Path) -> bool:
    """There is a config.json, readable or not; OSError where that cannot be seen."""
    return any(entry.name == "config.json" for entry in folder.iterdir())


def _digest(info: ModelInfo, words: bytes) -> str:
    config = info.config
    noise = (config.noise_schedule, config.train_steps, config.embedding, config.length_mode)
    digest = hashlib.sha256("\n".join([*map(str, noise), *info.vocab.words]).encode())
    digest.update(words)
    return digest.hexdigest()[:16]


def load(name: str | os.PathLike[str] = "e2e", device: str | torch.device = "cpu") -> Model:
    """Short for `Model.load`."""
    return Model.load(name, device)
