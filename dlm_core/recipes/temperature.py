"""How texts without controls are drawn: so that they are as likely as held-out ones.

At a low temperature a net's own words are more even than people's, and wilder at a high one, by how
well it was trained. So the bundle says its own, in `sampling.json`, measured by the teacher; what
the recipe's `[evaluate.sampling]` says of temperature, evidence and drafts stands as it is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlm_core.bundle import SAMPLING
from dlm_core.config import BundleSampling, SamplingConfig
from dlm_core.evaluation import measures
from dlm_core.evaluation.figures import Units
from dlm_core.files import write_json

if TYPE_CHECKING:
    from dlm_core.evaluation.teacher import Teacher
    from dlm_core.recipes.job import Job

TEMPERATURES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
EVIDENCE = (1.0, 0.75, 0.5)
SAID = ("temperature", "evidence", "drafts")
"""Settings of `SamplingConfig` that the file decides where they are left open."""
MOST = 50
"""Texts at each, and held-out ones."""
FIRST_SEED = 1_000_000
"""Not those of the texts that the figures are of."""


def choices(job: Job) -> list[list[BundleSampling]]:
    """All that the recipe leaves open: for each weight of evidence the temperatures, rising."""
    given = sampling_of(job)
    weights = EVIDENCE if job.recipe.lm.model.evidence else EVIDENCE[:1]
    if given.evidence is not None:
        weights = (given.evidence,)
    temperatures = TEMPERATURES if not given.temperature else (given.temperature,)
    usual = BundleSampling(drafts=given.drafts or BundleSampling().drafts)
    return [
        [
            usual.model_copy(update={"free_temperature": value, "evidence": weight})
            for value in temperatures
        ]
        for weight in weights
    ]


def rounds_of(temperatures: Sequence[BundleSampling]) -> int:
    """How many of them are tried: nats rise with the temperature, so halves are left out."""
    return len(temperatures).bit_length()


def texts_tried(job: Job) -> int:
    """With each: no more than the figures are of."""
    return min(MOST, job.recipe.evaluate.texts) if job.recipe.evaluate else MOST


def set_temperature(job: Job, resume: bool) -> dict[str, Any]:
    """Write what gives texts whose nats a token are nearest to those of held-out texts."""
    teacher, count = job.teacher(), texts_tried(job)
    assert teacher is not None
    real = _nats(job.held_out(count, FIRST_SEED), teacher)
    every = choices(job)
    rounds = sum(map(rounds_of, every))
    found: list[tuple[BundleSampling, float]] = []
    for temperatures in every:
        low, high = 0, len(temperatures)
        while low < high:
            own = temperatures[middle := (low + high) // 2]
            found.append((own, _nats(_texts(job, own, count, (len(found), rounds)), teacher)))
            low, high = (middle + 1, high) if found[-1][1] < real else (low, middle)
    best, _ = min(found, key=lambda one: abs(one[1] - real))
    write_json(job.out / SAMPLING, best.model_dump(), indent=1)
    job.forget_model()
    return {"held out": real, "tried": [own.model_dump() | {"nats": n} for own, n in found]}


def _texts(job: Job, own: BundleSampling, count: int, told: tuple[int, int]) -> list[str]:
    from dlm_core.generation.generate import generate

    sampling = sampling_of(job).model_dump() | {
        "temperature": own.free_temperature, "evidence": own.evidence, "drafts": own.drafts,
    }  # fmt: skip
    results = generate(
        job.model, None, count, FIRST_SEED, sampling=sampling, verify=False,
        plugins=job.recipe.plugins,
        progress=lambda k, n: job.told.step(told[0] * n + k, told[1] * n, ""),
    )  # fmt: skip
    return [result.tokenised for result in results]


def sampling_of(job: Job) -> SamplingConfig:
    """How the texts of figures are made."""
    return job.recipe.evaluate.sampling if job.recipe.evaluate else SamplingConfig()


def _nats(texts: Sequence[str], teacher: Teacher) -> float:
    """Mean negative log-likelihood a token."""
    units = Units.of([""] * len(texts))
    figures = {figure.name: figure for figure in measures.fluency(texts, units, teacher)}
    return figures["lm-score"].value or 0.0
