"""A recipe: everything `dlm train all` does, in one TOML, read and checked whole before it begins.

    [data]      corpus, valid, encoding, plugin
    [text]      TextConfig: how texts are prepared
    [lm]        TrainConfig, with [lm.model]; `init`, a model to begin with
    [teacher]   TeacherConfig; its words are the model's. `teacher = false` leaves it out
    [writer]    TrainConfig over a writer's own settings; or false
    [controls]  a table a head, or false; every other kind that can have a head has one, too
    [evaluate]  EvaluateTable; or false
    [card]      CardTable

Only `[data] corpus` must be there. Paths are relative to the file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field

from dlm_core.config import SamplingConfig, Settings, TextConfig, TrainConfig, load_toml
from dlm_core.errors import UsageError, did_you_mean
from dlm_core.recipes.heads import Head, read_heads
from dlm_core.recipes.places import beside

if TYPE_CHECKING:
    from dlm_core.bundle import ModelInfo
    from dlm_core.evaluation.teacher_training import TeacherConfig
    from dlm_core.plugins.registry import Plugins

_T = TypeVar("_T")
TABLES = ("data", "text", "lm", "teacher", "writer", "controls", "evaluate", "card")
MAY_BE_FALSE = ("teacher", "writer", "evaluate")
Names = Annotated[
    tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
]


class DataTable(Settings):
    """What is trained on."""

    corpus: str
    valid: str | None = None
    """Held-out texts; a tenth of the corpus, a thousand at most, if omitted."""
    encoding: str | None = None
    plugin: Names = ()
    """Files and folders of plugins."""


class EvaluateTable(Settings):
    """How much is looked at when all is trained."""

    texts: int = Field(default=200, ge=2)
    """Texts without controls, and as many held-out ones beside them."""
    targets: int = Field(default=10, ge=1)
    """Of each control, drawn from held-out texts."""
    each: int = Field(default=2, ge=1)
    """Texts a target."""
    bound: int = Field(default=200, ge=1)
    """Held-out texts whose likelihood is bounded."""
    draws: int = Field(default=16, ge=1)
    """Time steps that are looked at a text of these."""
    seed: int = 0
    """Of targets and held-out texts; those that are written count from seed 0."""
    sampling: SamplingConfig = SamplingConfig()
    """Of these texts; its temperature, evidence and drafts are the bundle's own from then on."""


class CardTable(Settings):
    """What the model card says beside figures."""

    name: str | None = None
    """The bundle's folder if omitted."""
    licence: str = "unknown"
    language: str = "en"
    description: str = ""


@dataclass(frozen=True)
class Recipe:
    """What a recipe says; a stage that is left out is None."""

    path: Path
    source: str
    data: DataTable
    lm: TrainConfig
    init: ModelInfo | None
    """The model that `lm` begins with; words and shape are its own."""
    teacher: TeacherConfig | None
    writer: TrainConfig | None
    writer_named: bool
    heads: tuple[Head, ...]
    evaluate: EvaluateTable | None
    card: CardTable
    plugins: Plugins

    def with_text(self, text: TextConfig) -> Recipe:
        """The same for a model, a teacher and a writer of texts that are prepared so."""
        update = {"text": text}
        return replace(
            self,
            lm=self.lm.model_copy(update=update),
            teacher=self.teacher and self.teacher.model_copy(update=update),
            writer=self.writer and self.writer.model_copy(update=update),
        )


def read_recipe(path: Path, load: Callable[[list[Path]], Plugins] | None = None) -> Recipe:
    """Read a recipe and check every key of it.

    Args:
        path: of the TOML.
        load: loads plugins with these files beside them; `load_plugins` if omitted.

    Raises:
        MissingError: the file, or a plugin's, is not there.
        UsageError: a table, a key or a value is wrong; with the nearest valid one.
    """
    from dlm_core.evaluation.teacher_training import TeacherConfig
    from dlm_core.plugins.loading import load_plugins
    from dlm_core.text import read_text
    from dlm_core.training.settings import laid_over, shape_of
    from dlm_core.training.writer import writer_settings

    tables = load_toml(path)
    _check_tables(tables, path)

    def table(name: str, read: Callable[[dict[str, Any], str], _T]) -> _T:
        return read(tables.get(name, {}), f"{path}, table '{name}'")

    def unless_false(name: str, read: Callable[[dict[str, Any], str], _T]) -> _T | None:
        return None if tables.get(name) is False else table(name, read)

    data = _beside(table("data", DataTable.read), path.parent)
    lm = {**tables.get("lm", {}), **({"text": tables["text"]} if "text" in tables else {})}
    init = _init(lm.pop("init", None), path)
    if "text" in tables.get("lm", {}):
        raise UsageError(f"{path}, table 'lm', key 'text': it stands beside [lm]", "[text]")
    for key in ("min_count", "max_words", "pieces", "text"):
        if key in (tables.get("teacher") or {}):
            raise UsageError(
                f"{path}, table 'teacher', key '{key}': a teacher has the words of the model",
                "set it in [text]" if key == "text" else "set it in [lm]",
            )
    if init is not None:
        lm = laid_over(lm, shape_of(init))
    plugins = (load or load_plugins)([Path(name) for name in data.plugin])
    return Recipe(
        path=path,
        source=read_text(path),
        data=data,
        lm=TrainConfig.read(lm, f"{path}, table 'lm'"),
        init=init,
        teacher=unless_false("teacher", TeacherConfig.read),
        writer=unless_false("writer", writer_settings),
        writer_named=isinstance(tables.get("writer"), dict),
        heads=read_heads(tables.get("controls", {}), path, plugins),
        evaluate=unless_false("evaluate", EvaluateTable.read),
        card=table("card", CardTable.read),
        plugins=plugins,
    )


def _init(name: Any, path: Path) -> ModelInfo | None:
    """The model to begin with: a folder beside the recipe, or as elsewhere."""
    from dlm_core.bundle import ModelInfo

    if name is None:
        return None
    if not isinstance(name, str):
        raise UsageError(f"{path}, table 'lm', key 'init': must be a model", 'init = "e2e"')
    folder = path.parent / Path(name).expanduser()
    return ModelInfo.read(folder if folder.exists() else name)


def _check_tables(tables: dict[str, Any], path: Path) -> None:
    for name, value in tables.items():
        if name not in TABLES:
            raise UsageError(f"{path}, key '{name}': no such table", did_you_mean(name, TABLES))
        may = name in MAY_BE_FALSE and value is False
        if not (isinstance(value, dict) or may):
            wanted = "a table, or false" if name in MAY_BE_FALSE else "a table"
            raise UsageError(f"{path}, key '{name}': must be {wanted}", f"[{name}]")
    if "corpus" not in tables.get("data", {}):
        raise UsageError(f"{path}, table 'data': key 'corpus' is missing", 'corpus = "READER:PATH"')


def _beside(data: DataTable, folder: Path) -> DataTable:
    """The same with whole paths."""
    plugin: Sequence[str] = [str(folder / Path(name).expanduser()) for name in data.plugin]
    update: dict[str, Any] = {"corpus": beside(data.corpus, folder), "plugin": tuple(plugin)}
    if data.valid is not None:
        update["valid"] = beside(data.valid, folder)
    return data.model_copy(update=update)
