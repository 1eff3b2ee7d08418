"""The checkpoint of a run: one file, written whole, that says what it was made from.

It holds all that goes on from step to step (weights, their average, optimisers, the losses by
time), the settings, the vocabulary, and digests of the texts: ids mean the same words after
`--resume`, and a run continues on its own data or not at all.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from dlm_core.config import AS_THEY_ARE, TrainConfig
from dlm_core.errors import DLMError, MissingError, UsageError
from dlm_core.files import writing
from dlm_core.training.optimizers import lr_factor
from dlm_core.vocab import Vocab
from dlm_core.weights import read_file

CHECKPOINT = "checkpoint"
"""Name of the file in a run's folder."""
MAGIC = b"dlm-checkpoint-1\n"


@dataclass(frozen=True)
class Data:
    """Texts, as a checkpoint remembers them: where from, how many, and which."""

    name: str
    texts: int
    sha256: str

    @classmethod
    def of(cls, name: str, texts: Sequence[str]) -> Data:
        """Of these texts, in this order."""
        digest = hashlib.sha256()
        for text in texts:
            raw = text.encode("utf-8", "surrogatepass")
            digest.update(len(raw).to_bytes(8, "little") + raw)
        return cls(name, len(texts), digest.hexdigest())

    def __str__(self) -> str:
        return f"{self.name} ({self.texts} texts, {self.sha256[:8]})"


@dataclass(frozen=True)
class Checkpoint:
    """What a run carries from step to step."""

    step: int
    seconds: float
    config: dict[str, Any]
    vocab: str
    corpus: dict[str, Any]
    valid: dict[str, Any]
    model: dict[str, Tensor]
    ema: dict[str, Tensor]
    optimizers: list[dict[str, Any]]
    history: Tensor
    counts: Tensor

    @property
    def vocabulary(self) -> Vocab:
        """The words that ids of this run mean."""
        return Vocab(Tokenizer.from_str(self.vocab))

    def write(self, path: Path) -> None:
        """Write it whole, behind its own digest; the old one stands until then.

        Raises:
            DLMError: the disk is full; the old one is whole.
        """
        stream = io.BytesIO()
        torch.save({**self.__dict__}, stream)
        payload = stream.getvalue()
        kept = "; the checkpoint that is there is whole" if path.is_file() else ""
        try:
            with writing(path) as new:
                new.write_bytes(MAGIC + hashlib.sha256(payload).digest() + payload)
                if path.is_dir():  # of an earlier version
                    shutil.rmtree(path)
        except DLMError as error:
            needed = f"{len(payload) / 1e6:.1f} MB are needed{kept}"
            raise DLMError(f"{error.message}: {needed}", "make room, then --resume") from error

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Read a checkpoint that is whole.

        Raises:
            MissingError: there is none, it is broken, or of an earlier version.
        """
        anew = "leave --resume out to start anew"
        try:
            if path.is_dir():
                raise MissingError(
                    f"{path} is the checkpoint of an earlier version of dlm",
                    "finish the run with that version, or start anew with --force",
                )
            if not path.exists():
                raise MissingError(f"no checkpoint in {path.parent}", anew)
            data = read_file(path)
        except OSError as error:
            raise MissingError(f"cannot read {path}: {error.strerror or error}") from error
        start = len(MAGIC) + 32
        payload = data[start:]
        if (
            not data.startswith(MAGIC)
            or hashlib.sha256(payload).digest() != data[len(MAGIC) : start]
        ):
            raise MissingError(
                f"the checkpoint {path} is broken: it is not what was written",
                "fetch it again, or start anew with --force",
            )
        kept = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        kept["config"].setdefault("text", AS_THEY_ARE.model_dump(mode="json"))
        return cls(**kept)


def check_data(saved: dict[str, Any], now: Data, new_data: bool) -> str | None:
    """Compare texts with the checkpoint's; returns what is to be told.

    Raises:
        UsageError: they are others, and `new_data` does not say that they may be.
    """
    then = Data(**saved)
    if then.sha256 == now.sha256:
        return None
    if not new_data:
        raise UsageError(
            f"--resume: {now} is not what the checkpoint was made with, {then}",
            "restore those texts; --new-data goes on with the new ones and the old vocabulary",
        )
    return f"going on with {now} instead of {then}; the vocabulary stays"


def check_settings(saved: Checkpoint, config: TrainConfig) -> str | None:
    """Compare settings with the checkpoint's; only the number of steps may be another.

    Raises:
        UsageError: names the first that differs.
    """
    told = None
    before = TrainConfig.read(saved.config, "the checkpoint").model_dump(mode="json")
    for key, value in config.model_dump(mode="json").items():
        then = before[key]  # an earlier version's lacks settings that have come since
        if then == value:
            continue
        if isinstance(value, dict) and isinstance(then, dict):
            part = next(name for name in value if value[name] != then[name])
            key, value, then = f"{key}.{part}", value[part], then.get(part)
        if key != "max_steps":
            raise UsageError(
                f"--resume: '{key}' is {value!r} now, the checkpoint has {then!r}",
                "set it as it was in --config, or train anew into another --out",
            )
        if value < saved.step:
            raise UsageError(
                f"--resume: 'max_steps' is {value} now, but the checkpoint is at step {saved.step}",
                f"--max-steps {saved.step} or more",
            )
        rate = config.lr * lr_factor(saved.step, config)
        told = (
            f"going on to step {value} instead of {then}: the schedule is stretched, the rate is "
            f"{rate:.2g} at step {saved.step}"
        )
    return told


@contextmanager
def only_run(out: Path) -> Iterator[None]:
    """Hold the folder of a run, so that two runs do not write into it at once.

    Raises:
        UsageError: another run holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no such lock
        yield
        return
    handle = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"another run is writing into {out}", "wait for it, or choose another --out"
            ) from error
        except OSError:  # a file system without locks
            pass
        for stale in out.glob(".*.new"):  # of a run that was killed
            stale.unlink(missing_ok=True)
        yield
    finally:
        os.close(handle)
