"""The systems that walk a Diffusion-LM: settings, and that text i depends on its seed alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.baselines.base import Ask, System
from benchmarks.baselines.diffinity import Diffinity
from benchmarks.baselines.diffusion import RELEASE, Ours, Release
from benchmarks.baselines.lab import Lab
from benchmarks.baselines.writer_alone import WriterAlone
from benchmarks.paper.tasks import conditions
from dlm_controls import Length, Pattern, Pos, Semantic
from dlm_core.bundle import Model
from dlm_core.control.compose import Controls, as_controls


def lab_of(model: Model, folder: Path) -> Lab:
    lab = Lab(folder, folder, conditions())
    lab.__dict__["model"] = model
    return lab


@pytest.mark.parametrize(
    ("system", "controls"),
    [
        (WriterAlone, as_controls(Semantic(food="Italian"))),
        (Ours, Semantic(food="Italian") + Length(9)),
        (Diffinity, as_controls(Pattern("The * is a ... ."))),
    ],
)
def test_text_i_depends_on_its_seed_alone(
    system: Callable[[Lab], System], controls: Controls, embedded_model: Model, tmp_path: Path
) -> None:
    made = system(lab_of(embedded_model, tmp_path))
    assert made.does(controls)
    three = made.generate(controls, 3, 5)
    asks = [Ask(controls, 1, 7), Ask(controls, 1, 5)]
    assert made.generate_all(asks) == [[three[2]], [three[0]]]
    assert len(set(three)) > 1


def test_the_writer_alone_says_most_of_what_it_is_shown(
    embedded_model: Model, tmp_path: Path
) -> None:
    texts = WriterAlone(lab_of(embedded_model, tmp_path)).generate(
        as_controls(Semantic(food="Italian")), 8, 0
    )
    assert sum("Italian" in text for text in texts) >= 6


def test_the_releases_settings_are_table_6s(embedded_model: Model, tmp_path: Path) -> None:
    release = Release(lab_of(embedded_model, tmp_path))
    guidance = release.guidance(as_controls(Pos("DET NOUN")))
    assert (guidance.guidance_lr, guidance.fluency) == (0.05, 0.0005)
    assert (guidance.mode, guidance.optimizer, guidance.guidance_steps) == ("paper", "sign", 3)
    both = release.guidance(Semantic(food="Italian") + Pos("DET NOUN"))
    assert both.guidance_lr == pytest.approx(0.075)
    times = embedded_model.net.schedule.timesteps(
        RELEASE.steps, RELEASE.spacing, RELEASE.time_power
    )
    unguided = [t for t in times.tolist() if t < guidance.t_min - 1e-9]
    assert len(unguided) == 9 and times[-1] == pytest.approx(1 / 200)


def test_the_releases_loop_runs_as_a_system(
    make_model: Callable[..., Model], tmp_path: Path
) -> None:
    release = Release(lab_of(make_model(), tmp_path))
    controls = as_controls(Length(6))
    two = release.generate(controls, 2, 0)
    assert [len(text.split()) for text in two] == [6, 6]
    assert release.generate(controls, 1, 1) == two[1:]
