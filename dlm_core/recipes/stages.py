"""The stages of a recipe: what decides each, what it needs, what it writes, and its work.

Each may be called by itself: `stages_of(job)[1].run(job, resume=False)`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlm_core.bundle import SAMPLING, Model
from dlm_core.control.shown import WRITER
from dlm_core.corpora.fields import look_at_fields
from dlm_core.errors import MissingError, PluginError, UsageError
from dlm_core.recipes.data import look_at
from dlm_core.recipes.job import TEACHER, Job
from dlm_core.training.told import run_told

if TYPE_CHECKING:
    from dlm_core.corpora import Example
    from dlm_core.recipes.heads import Head
    from dlm_core.recipes.recipe import Recipe
    from dlm_core.training.loop import Trainer

CANNOT = (UsageError, MissingError, PluginError)
"""Why a head cannot be trained: where the recipe does not name it, it is left out."""
TEMPERATURE = "temperature"
BUNDLE = ("config.json", "tokenizer.json", "model.safetensors")
Figures = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: as `--only` takes it.
        settings: what of the recipe decides it, as JSON.
        needs: stages, and texts (`texts`, `texts of NAME`), that it is made of.
        writes: files and folders in the run's.
        work: does it; with True it goes on from a checkpoint of its own. Returns its figures.
        steps: of its training, where it is known.
        named: the recipe asks for it: the run ends where it cannot be done.
    """

    name: str
    settings: Mapping[str, Any]
    needs: tuple[str, ...]
    writes: tuple[str, ...]
    work: Callable[[Job, bool], Figures]
    steps: int | None = None
    named: bool = True

    def run(self, job: Job, resume: bool) -> Figures:
        """Do it; what an earlier run of it left is removed unless it goes on with that."""
        if not resume:
            for name in self.writes:
                if name not in BUNDLE:
                    _remove(job, name)
        return self.work(job, resume)


def _remove(job: Job, name: str) -> None:
    path = job.out / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def stages_of(job: Job) -> list[Stage]:
    """The stages of a recipe in their order; the first reads the texts."""
    recipe = job.recipe
    stages = [
        Stage("data", {}, (), (), check_texts),
        Stage(
            "lm", _lm_settings(recipe), ("texts",), (*BUNDLE, "checkpoint"),
            train_lm, recipe.lm.max_steps,
        ),
    ]  # fmt: skip
    if recipe.teacher is not None:
        settings = recipe.teacher.model_dump(mode="json")
        steps = recipe.teacher.steps
        stages.append(Stage(TEACHER, settings, ("texts", "lm"), (TEACHER,), train_teacher, steps))
    heads = [head for head in recipe.heads if head.path not in job.left_out]
    stages += [_head_stage(head) for head in heads]
    if recipe.writer is not None and WRITER not in job.left_out:
        kinds = _kinds(job, heads)
        read_by = [f"controls.{h.name}" for h in heads if getattr(h.cls, "shown_by_head", False)]
        settings = recipe.writer.model_dump(mode="json", exclude={"model"})
        stages.append(
            Stage(
                WRITER, {**settings, "kinds": sorted(kinds)}, ("texts", "lm", *read_by),
                (f"controls/{WRITER}",), train_writer, recipe.writer.max_steps,
                recipe.writer_named,
            )
        )  # fmt: skip
    made = tuple(stage.name for stage in stages[1:])
    if recipe.teacher is not None:
        from dlm_core.recipes.temperature import set_temperature

        settings = recipe.evaluate.sampling.model_dump(mode="json") if recipe.evaluate else {}
        judged = ("texts", "lm", TEACHER)
        stages.append(Stage(TEMPERATURE, settings, judged, (SAMPLING,), set_temperature))
        made += (TEMPERATURE,)
    if recipe.evaluate is not None:
        from dlm_core.recipes.evaluation import EVALUATION, evaluate

        settings = recipe.evaluate.model_dump(mode="json")
        needs = ("texts", *(f"texts of {name}" for name in job.texts if name), *made)
        stages.append(Stage("evaluate", settings, needs, (EVALUATION,), evaluate))
        made += ("evaluate",)
    from dlm_core.recipes.card import write_card

    settings = {"card": recipe.card.model_dump(mode="json"), "left out": dict(job.left_out)}
    stages.append(Stage("card", settings, made, ("README.md",), write_card))
    return stages


def _lm_settings(recipe: Recipe) -> dict[str, Any]:
    settings = recipe.lm.model_dump(mode="json")
    if recipe.init is not None:
        settings["init"] = recipe.init.sha256
    return settings


def _head_stage(head: Head) -> Stage:
    options = {k: v for k, v in head.options.items() if k != "trees"}  # a store, no setting
    texts = "texts" if head.corpus is None else f"texts of {head.name}"
    return Stage(
        f"controls.{head.name}", options, (texts, "lm"), (f"controls/{head.path}",),
        partial(train_control, head=head), head.options.get("steps"), head.named,
    )  # fmt: skip


def check_texts(job: Job, resume: bool) -> Figures:
    """Tell what a model will see of the texts; never done once and for all, for it takes seconds.

    Raises:
        UsageError: too little.
    """
    lm, init = job.recipe.lm, job.recipe.init
    found: Figures = {"held out": len(job.data.valid)}
    for name, texts in job.texts.items():
        vocab = job.vocab if name else None if init is None else init.vocab
        train = [example.text for example in texts.train]
        fields = look_at_fields(texts.train)
        report, words = look_at(train, lm, vocab, texts.names[0], texts.told, fields)
        job.vocab = job.vocab or words
        for line in report.lines():
            job.told.line(line)
        found[name or "texts"] = report.as_dict()
    return found


def train_lm(job: Job, resume: bool) -> Figures:
    """A Diffusion-LM; heads of the model that was there before are removed."""
    from dlm_core.training.loop import Trainer

    job.forget_model()
    texts, names, vocab = job.data, job.data.names, job.vocab
    assert vocab is not None
    trainer = Trainer(
        job.recipe.lm.with_vocab(len(vocab)), vocab, [e.text for e in texts.train],
        [e.text for e in texts.valid], job.out, job.device, names=names,
    )  # fmt: skip
    if not resume:
        controls = job.out / "controls"
        for old in controls.iterdir() if controls.is_dir() else ():
            if old.is_dir():
                shutil.rmtree(old)
        if job.recipe.init is not None:
            trainer.start_from(Model.load(job.recipe.init.path))
        elif (checkpoint := job.recipe.lm.bert_checkpoint) is not None:
            trainer.start_from_bert(checkpoint)
    return _run(job, trainer, resume)


def _run(job: Job, trainer: Trainer, resume: bool) -> Figures:
    """Train to the end; from the checkpoint, if there is one to go on with.

    Raises:
        KeyboardInterrupt: it was stopped, and left a checkpoint.
    """
    if resume and trainer.checkpoint_path.is_file():
        for note in trainer.resume():
            job.told.warn(note)
        job.told.line(f"going on from step {trainer.step}")
    result = run_told(trainer, job.told)
    if not result.finished:
        raise KeyboardInterrupt
    return {k: v for k, v in result.metrics.items() if k == "valid_anchor"}


def train_teacher(job: Job, resume: bool) -> Figures:
    """The judge of fluency, over the words of the model."""
    from dlm_core.evaluation.teacher_training import train_teacher as train
    from dlm_core.training.checkpoint import CHECKPOINT

    train_texts = [example.text for example in job.data.train]
    held_out = [example.text for example in job.data.valid]
    best = train(
        train_texts, held_out, job.out / TEACHER, job.recipe.teacher, job.device, job.told,
        job.model.vocab, job.out / TEACHER / CHECKPOINT,
    )  # fmt: skip
    return asdict(best)


def train_writer(job: Job, resume: bool) -> Figures:
    """The net that is shown what controls ask for."""
    folder, texts = job.model.info.head_path(WRITER), job.data
    trainer = writer_trainer(job, job.model, texts.train, texts.valid, folder)
    return _run(job, trainer, resume)


def writer_trainer(
    job: Job, model: Model, train: Sequence[Example], valid: Sequence[Example], folder: Path
) -> Trainer:
    """A training of the recipe's writer on these texts, into a folder."""
    from dlm_core.training.writer import WriterTrainer, read_shown

    assert job.recipe.writer is not None
    kinds = _kinds(job, [head for head in job.recipe.heads if not job.why_not(head)])
    job.told.line(f"reading {len(train) + len(valid):,} texts: {', '.join(sorted(kinds))}")
    return WriterTrainer(
        job.recipe.writer, model, kinds, read_shown(train, kinds, model),
        read_shown(valid, kinds, model, held_out=True), folder, folder, device=model.device,
        names=job.data.names,
    )  # fmt: skip


def _kinds(job: Job, heads: Sequence[Head]) -> dict[str, Any]:
    """Kinds of control that the writer is shown: those that have one of the heads, or need none."""
    from dlm_core.training.writer import kinds_shown

    return kinds_shown(job.recipe.plugins.controls, {head.cls.kind for head in heads})


def train_control(job: Job, resume: bool, head: Head) -> Figures:
    """The head of a control."""
    from dlm_core.training.heads import train_head

    texts, out = job.texts_of(head).train, job.model.info.head_path(head.path)
    return train_head(head.cls, job.model, texts, out, head.owner, job.told, **head.options)


def check_heads(job: Job) -> None:
    """Leave out what cannot be trained here, and why; to be told before anything is trained.

    Raises:
        MissingError, UsageError, PluginError: of a head, or the writer, that the recipe names.
    """
    from dlm_core.training.heads import require_texts

    if job.recipe.writer is not None:
        try:
            job.recipe.lm.model.require_shown()
            texts = len(job.data.train)
            require_texts(texts, texts, "are there to train on")
        except UsageError as error:
            if job.recipe.writer_named:
                where = f"{job.recipe.path}, table 'writer'"
                raise UsageError(f"{where}: {error.message}", error.hint) from error
            job.left_out[WRITER] = error.message
            job.told.warn(f"no writer: {error.message}")
    for head in job.recipe.heads:
        try:
            head.check(job.texts_of(head).train)
        except CANNOT as error:
            if head.named:
                where = f"{job.recipe.path}, table 'controls.{head.name}'"
                hint = error.hint or f"leave it out: [controls] {head.name} = false"
                raised = UsageError if isinstance(error, UsageError) else type(error)
                raise raised(f"{where}: {error.message}", hint) from error
            job.left_out[head.path] = error.message
            job.told.warn(f"no head for control '{head.path}': {error.message}")
            if error.hint:
                job.told.line(f"hint: {error.hint}")


def check_packages(job: Job) -> None:
    """What teacher and figures need must be installed.

    Raises:
        MissingError: says what to install, or how to do without.
    """
    from importlib.util import find_spec

    recipe = job.recipe
    needed = {"transformers": recipe.teacher, "scipy": recipe.evaluate}
    needed["sacrebleu"] = recipe.evaluate
    stages = {"transformers": "teacher", "scipy": "evaluate", "sacrebleu": "evaluate"}
    for package, wanted in needed.items():
        if wanted is not None and find_spec(package) is None:
            stage = stages[package]
            raise MissingError(
                f"stage '{stage}' needs {package}, which is not installed",
                f'pip install "dlm[eval]"; or do without: {stage} = false in the recipe',
            )
