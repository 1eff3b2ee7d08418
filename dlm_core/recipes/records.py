"""recipe.json: which stages of a recipe are done, what each was made of, and what it wrote."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dlm_core.errors import MissingError
from dlm_core.files import write_json
from dlm_core.text import load_json

RECORDS = "recipe.json"
"""Name of the file in the folder of a run."""
FORMAT = "dlm-recipe-1"


@dataclass
class Record:
    """What is known of a stage that was begun.

    Attributes:
        settings: what of the recipe decided it.
        inputs: digests of the texts and of the stages that it was made of.
        files: digests of what it wrote, by their paths in the folder; empty until it is done.
        figures: what it measured.
        left_out: why there is nothing, where the corpus taught it nothing.
        steps: of its training.
        seconds: that it took, all runs together.
        machine: what it was done on.
    """

    settings: dict[str, Any]
    inputs: dict[str, str]
    files: dict[str, str] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    left_out: str = ""
    steps: int = 0
    seconds: float = 0.0
    machine: str = ""

    @property
    def done(self) -> bool:
        """It is finished, with or without something to show."""
        return bool(self.files or self.left_out)

    @property
    def digest(self) -> str:
        """Of what it wrote, or that it wrote nothing."""
        return hashlib.sha256(json.dumps(self.files, sort_keys=True).encode()).hexdigest()[:16]

    def changed(self, settings: dict[str, Any], inputs: dict[str, str], out: Path) -> str | None:
        """Why the stage is to be done anew; None where all is as it was."""
        for key in dict.fromkeys([*self.settings, *settings]):
            then, now = self.settings.get(key), settings.get(key)
            if then != now:
                return _first(key, then, now)
        for name in dict.fromkeys([*inputs, *self.inputs]):
            if inputs.get(name) != self.inputs.get(name):
                return f"{name} changed"
        for name, digest in self.files.items():
            if digest_of(out / name) != digest:
                return f"{name} is not as it was written"
        return None


def _first(key: str, then: Any, now: Any) -> str:
    """The setting that differs, of a table the first in it."""
    if isinstance(then, dict) and isinstance(now, dict):
        part = next(name for name in {**then, **now} if then.get(name) != now.get(name))
        return _first(f"{key}.{part}", then.get(part), now.get(part))
    return f"'{key}' is {_shown(now)} now, it was {_shown(then)}"


def _shown(value: Any) -> str:
    return "not set" if value is None else json.dumps(value, ensure_ascii=False)


def digest_of(path: Path) -> str:
    """Of a file; empty where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""


class Records:
    """The stages of a run, written down whenever something is known."""

    def __init__(self, out: Path, stages: dict[str, Record]) -> None:
        self.out, self.stages = out, stages

    @classmethod
    def read(cls, out: Path) -> Records:
        """Of the run in a folder.

        Raises:
            MissingError: there is none, or its file is broken.
        """
        path = out / RECORDS
        anew = "--force begins anew"
        if not path.is_file():
            raise MissingError(
                f"no run of a recipe in {out} ({RECORDS} is missing)", "leave --resume out to begin"
            )
        try:
            data = load_json(path.read_bytes())
            if data["format"] != FORMAT:
                raise ValueError(f"of format {data['format']}")
            return cls(out, {name: Record(**row) for name, row in data["stages"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise MissingError(f"{path} is broken: {error}", anew) from error

    def fits(self, name: str) -> bool:
        """A stage is done, with the stages that are there now, and its files are as it wrote them.

        Whether the recipe's settings and texts are as they were is not looked at.
        """
        record = self.stages.get(name)
        if record is None or not record.done:
            return False
        now = {
            k: self.stages[k].digest if k in self.stages else v for k, v in record.inputs.items()
        }
        return record.changed(record.settings, now, self.out) is None

    def write(self) -> None:
        """Write it down whole."""
        stages = {name: asdict(record) for name, record in self.stages.items()}
        write_json(self.out / RECORDS, {"format": FORMAT, "stages": stages}, indent=1)
