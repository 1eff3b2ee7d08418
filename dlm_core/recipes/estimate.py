"""How long each stage of a recipe will take on this machine: a few steps of it are timed.

Nothing is trained on: nets have random weights, heads learn from a few texts into a folder that is
thrown away. Texts that are tagged or parsed before take their time, too.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from dlm_core.bundle import Model, save_bundle
from dlm_core.control.shown import WRITER
from dlm_core.corpora import Example
from dlm_core.errors import DLMError
from dlm_core.recipes.evaluation import controls_of
from dlm_core.recipes.heads import Head
from dlm_core.recipes.job import TEACHER, Job
from dlm_core.recipes.stages import TEMPERATURE, stages_of, writer_trainer
from dlm_core.recipes.temperature import choices, rounds_of, sampling_of, texts_tried
from dlm_core.training.heads import train_head
from dlm_core.training.loop import Trainer
from dlm_core.training.told import Told

SOME = 200
"""Texts that a writer or a head is timed with."""
STEPS = 4
"""Steps that are timed, after a first that warms up."""


@dataclass(frozen=True)
class Expected:
    """A stage, its steps and its seconds, None where they cannot be told."""

    stage: str
    steps: int | None = None
    seconds: float | None = None


class _EnoughError(DLMError):
    """Ends a training that is only timed."""


@dataclass
class _Watch:
    """Sees the steps of a training, and ends it."""

    began: float = field(default_factory=time.monotonic)
    times: list[float] = field(default_factory=list)
    steps: int = 0

    def step(self, done: int, steps: int, figures: str) -> None:
        if "nan" in figures:  # of texts that are parsed before
            return
        self.times.append(time.monotonic())
        self.steps = steps
        if len(self.times) > STEPS:
            raise _EnoughError("timed")

    @property
    def seconds_a_step(self) -> float:
        return (self.times[-1] - self.times[0]) / max(1, len(self.times) - 1)

    @property
    def before(self) -> float:
        """Seconds until the first step was done, that step left out."""
        return max(0.0, self.times[0] - self.began - self.seconds_a_step)


def estimate(job: Job) -> Iterator[Expected]:
    """The stages in their order, each as soon as it is timed; the texts were looked at before."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lm = _lm_trainer(job, folder)
        save_bundle(folder / "model", lm.model, lm.vocab)
        model = Model.load(folder / "model", job.device)
        heads = {f"controls.{head.name}": head for head in job.recipe.heads}
        for stage in stages_of(job):
            if stage.name == "lm":
                yield Expected(stage.name, stage.steps, lm.config.max_steps * _step_time(lm))
            elif stage.name == TEACHER:
                yield _teacher(job, model, folder)
            elif stage.name == WRITER:
                yield _writer(job, model, folder)
            elif stage.name in heads:
                yield _head(job, heads[stage.name], model, folder)
            elif stage.name == TEMPERATURE:
                drafts = texts_tried(job) * sum(
                    own[0].drafts * rounds_of(own) for own in choices(job)
                )
                yield Expected(stage.name, None, drafts * _draft(job, model))
            elif stage.name == "evaluate":
                yield Expected(stage.name, None, _evaluation(job, model))
            else:
                yield Expected(stage.name)


def _lm_trainer(job: Job, folder: Path) -> Trainer:
    assert job.vocab is not None
    return Trainer(
        job.recipe.lm.with_vocab(len(job.vocab)), job.vocab,
        [example.text for example in _some(job.data.train, 10 * SOME)],
        [example.text for example in job.data.valid], folder, job.device, names=job.data.names,
    )  # fmt: skip


def _some(examples: Sequence[Example], count: int) -> list[Example]:
    return Random(0).sample(list(examples), min(count, len(examples)))


def _step_time(trainer: Trainer) -> float:
    trainer.train_step()
    began = time.monotonic()
    for _ in range(STEPS):
        trainer.train_step()
    return (time.monotonic() - began) / STEPS


def _teacher(job: Job, model: Model, folder: Path) -> Expected:
    from dlm_core.evaluation.teacher_training import train_teacher

    train, config, watch = job.data.train, job.recipe.teacher, _Watch()
    assert config is not None
    some = [example.text for example in _some(train, 10 * SOME)]
    with suppress(_EnoughError):
        train_teacher(
            some, some[:1], folder / TEACHER, config, job.device, Told(watch.step),
            model.vocab,
        )  # fmt: skip
    steps = config.steps or round(watch.steps * len(train) / len(some))
    return Expected(TEACHER, steps, steps * watch.seconds_a_step)


def _writer(job: Job, model: Model, folder: Path) -> Expected:
    data, config = job.data, job.recipe.writer
    assert config is not None
    some, began = _some(data.train, SOME), time.monotonic()
    trainer = writer_trainer(job, model, some, some, folder / WRITER)
    reading = (time.monotonic() - began) / (2 * len(some))
    seconds = reading * (len(data.train) + len(data.valid)) + config.max_steps * _step_time(trainer)
    return Expected(WRITER, config.max_steps, seconds)


def _head(job: Job, head: Head, model: Model, folder: Path) -> Expected:
    examples = job.texts_of(head).train
    some, watch = _some(examples, SOME), _Watch()
    options = {key: value for key, value in head.options.items() if key != "trees"}
    stage = f"controls.{head.name}"
    try:
        train_head(head.cls, model, some, folder / "head", head.owner, Told(watch.step), **options)
    except _EnoughError:
        pass
    except DLMError:  # so few teach nothing: it will be seen
        return Expected(stage)
    if not watch.times:
        return Expected(stage)
    read = min(len(examples), getattr(head.cls, "most_texts", len(examples)))
    seconds = watch.before * read / len(some) + watch.steps * watch.seconds_a_step
    return Expected(stage, watch.steps, seconds)


def _evaluation(job: Job, model: Model) -> float:
    """Texts are written in batches; those under controls take a writer's drafts."""
    from dlm_core.evaluation.nll import likelihood
    from dlm_core.generation.drafts import WRITTEN

    settings = job.recipe.evaluate
    assert settings is not None
    texts = [example.text for example in _some(job.data.valid, 8)]
    began = time.monotonic()
    likelihood(model, texts, settings.draws)
    bound = (time.monotonic() - began) / len(texts)
    asked = len(controls_of(job)) * settings.targets * settings.each
    drafts = settings.texts * (settings.sampling.drafts or 1) + WRITTEN * asked
    return settings.bound * bound + drafts * _draft(job, model)


def _draft(job: Job, model: Model) -> float:
    """Of a draft of a text without controls, of several that are made together."""
    from dlm_core.generation.generate import generate

    count, sampling = 8, sampling_of(job).model_copy(update={"drafts": 1})
    began = time.monotonic()
    generate(model, n=count, sampling=sampling, plugins=job.recipe.plugins)
    return (time.monotonic() - began) / count
