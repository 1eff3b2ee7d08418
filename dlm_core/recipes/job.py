"""What the stages of a run share: the recipe, its texts, the folder, and what is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from dlm_core.bundle import Model
from dlm_core.recipes.data import Texts
from dlm_core.recipes.records import Records
from dlm_core.training.told import Told
from dlm_core.vocab import Vocab

if TYPE_CHECKING:
    from dlm_core.evaluation.teacher import Teacher
    from dlm_core.recipes.heads import Head
    from dlm_core.recipes.recipe import Recipe

TEACHER = "teacher"
"""Folder of the teacher, in that of the run."""


@dataclass
class Job:
    """A run of a recipe.

    Attributes:
        texts: of the recipe ("") and of heads with a corpus of their own.
        records: what is done.
        left_out: heads, and the writer, that cannot be trained here, and why.
        vocab: the words of the model, once the texts were looked at.
    """

    recipe: Recipe
    texts: dict[str, Texts]
    records: Records
    device: str = "cpu"
    told: Told = field(default_factory=Told)
    left_out: dict[str, str] = field(default_factory=dict)
    vocab: Vocab | None = None
    _model: Model | None = None

    @property
    def out(self) -> Path:
        """The folder of the run."""
        return self.records.out

    @property
    def data(self) -> Texts:
        """The recipe's own texts."""
        return self.texts[""]

    def held_out(self, count: int, seed: int) -> list[str]:
        """Some held-out texts that the model could hold."""
        info = self.model.info
        fit = [e.text for e in self.data.valid if info.holds(e.text)]
        return Random(seed).sample(fit, min(count, len(fit)))

    def texts_of(self, head: Head) -> Texts:
        """What a head learns from."""
        return self.texts[head.name if head.corpus is not None else ""]

    def why_not(self, head: Head) -> str:
        """Why it could not be trained, so far; empty where it can, or nothing is known."""
        record = self.records.stages.get(f"controls.{head.name}")
        return self.left_out.get(head.path) or (record.left_out if record else "")

    @property
    def model(self) -> Model:
        """The bundle, loaded once."""
        if self._model is None:
            self._model = Model.load(self.out, self.device)
        return self._model

    def forget_model(self) -> None:
        """Another takes its place."""
        self._model = None

    def teacher(self) -> Teacher | None:
        """The judge, if the recipe has one."""
        from dlm_core.evaluation.teacher import Teacher

        return Teacher.load(self.out / TEACHER, self.device) if self.recipe.teacher else None
