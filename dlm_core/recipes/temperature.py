"""The temperature of texts without controls: where they are as likely as held-out ones.

A net's own words are more even than people's at a low temperature and wilder at a high one, by how
well it was trained. So the bundle says its own, in `sampling.json`, measured by the teacher.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from dlm_core.bundle import SAMPLING
from dlm_core.config import BundleSampling
from dlm_core.evaluation import measures
from dlm_core.evaluation.figures import Units
from dlm_core.files import write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlm_core.evaluation.teacher import Teacher
    from dlm_core.recipes.job import Job

TRIED = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
MOST = 100
"""Texts at each, and held-out ones."""
FIRST_SEED = 1_000_000
"""Not those of the texts that the figures are of."""


def set_temperature(job: Job, resume: bool) -> dict[str, Any]:
    """Try each, and write the one whose texts' nats a token are nearest to the held-out texts'."""
    teacher = job.teacher()
    assert teacher is not None
    fit = [e.text for e in job.data.valid if job.model.info.holds(e.text)]
    real = _nats(Random(FIRST_SEED).sample(fit, min(texts_tried(job), len(fit))), teacher)
    tried = {value: _nats(_texts(job, value), teacher) for value in TRIED}
    best = min(TRIED, key=lambda value: abs(tried[value] - real))
    write_json(job.out / SAMPLING, BundleSampling(free_temperature=best).model_dump(), indent=1)
    job.forget_model()
    return {"held out": real, "nats": {str(value): nats for value, nats in tried.items()}}


def texts_tried(job: Job) -> int:
    """At each temperature: no more than the figures are of."""
    return min(MOST, job.recipe.evaluate.texts) if job.recipe.evaluate else MOST


def _texts(job: Job, temperature: float) -> list[str]:
    from dlm_core.generation.generate import generate

    sampling = job.recipe.evaluate.sampling if job.recipe.evaluate else None
    done = TRIED.index(temperature)
    results = generate(
        job.model, None, texts_tried(job), FIRST_SEED,
        sampling={**(sampling.model_dump() if sampling else {}), "temperature": temperature},
        verify=False, plugins=job.recipe.plugins,
        progress=lambda k, n: job.told.step(done * n + k, len(TRIED) * n, ""),
    )  # fmt: skip
    return [result.tokenised for result in results]


def _nats(texts: Sequence[str], teacher: Teacher) -> float:
    """Mean negative log-likelihood a token."""
    figures = {f.name: f for f in measures.fluency(texts, Units.of([""] * len(texts)), teacher)}
    return figures["lm-score"].value
