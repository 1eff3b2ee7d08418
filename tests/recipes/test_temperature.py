"""A bundle says the temperature of texts without controls: where its teacher expects them."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

import dlm_core as dlm
from dlm_core.bundle import SAMPLING, ModelInfo, copy_bundle
from dlm_core.errors import MissingError
from dlm_core.evaluation.teacher import Teacher
from dlm_core.recipes.records import Records
from dlm_core.recipes.temperature import FIRST_SEED, choose

PLUGINS = dlm.load_plugins(chosen=())


def texts(model, controls=None, **sampling) -> list[str]:
    settings = {"steps": 2, **sampling}
    return [r.text for r in dlm.generate(model, controls, 4, sampling=settings, plugins=PLUGINS)]


def say(bundle: Path, **values) -> dlm.Model:
    (bundle / SAMPLING).write_text(json.dumps(values))
    return dlm.load(bundle)


def test_what_it_says_was_measured(whole: Path) -> None:
    figures = Records.read(whole).stages["temperature"].figures
    said = ModelInfo.read(whole).sampling.model_dump()
    assert said == {k: choose(figures["tried"], figures["held out"]["nats"])[k] for k in said}
    # one of them again, from its texts
    (row,) = (row for row in figures["tried"] if row["free_temperature"] == 1.5)
    results = dlm.generate(
        whole, None, 6, FIRST_SEED, sampling={"steps": 2, "temperature": 1.5}, plugins=PLUGINS
    )
    totals = Teacher.load(whole / "teacher").totals([r.tokenised for r in results])
    assert row["nats"] == pytest.approx(sum(a / b for a, b in totals) / len(totals), rel=1e-4)
    pairs = [pair for r in results for pair in pairwise(r.tokens)]
    assert row["distinct"] == pytest.approx(len(set(pairs)) / len(pairs))


def test_of_those_as_likely_as_real_ones_the_most_different_is_kept() -> None:
    rows = [(3.0, 0.9), (4.7, 0.6), (5.2, 0.7), (9.0, 1.0)]
    found = [{"nats": nats, "distinct": distinct} for nats, distinct in rows]
    assert choose(found, 5.0) == found[2]
    assert choose(found, 7.5) == found[3], "none is near"


def test_texts_without_controls_take_it_and_others_do_not(run: Path) -> None:
    even, wild = say(run, free_temperature=0.25), texts(say(run, free_temperature=1.5))
    assert texts(even) == texts(even, temperature=0.25) != wild
    assert texts(even, "length:5") == texts(say(run, free_temperature=1.5), "length:5")


def test_signatures_tell_it(run: Path) -> None:
    def signed(model: dlm.Model) -> str:
        return dlm.generate(model, sampling={"steps": 1}, plugins=PLUGINS)[0].signature

    assert "temperature:0.5" in signed(say(run, free_temperature=0.5))
    assert "temperature" not in signed(say(run))


def test_it_travels_with_the_bundle(run: Path, tmp_path: Path) -> None:
    say(run, free_temperature=0.5)
    copy_bundle(ModelInfo.read(run), tmp_path / "copy")
    assert ModelInfo.read(tmp_path / "copy").sampling.free_temperature == 0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"free_temprature": 1}', "'free_temprature'"),
        ('{"free_temperature": -1}', "greater than 0"),
        ("{", ""),
    ],
)
def test_a_wrong_file_is_told_by_its_name(run: Path, text: str, message: str) -> None:
    (run / SAMPLING).write_text(text)
    with pytest.raises(MissingError, match=SAMPLING) as error:
        ModelInfo.read(run)
    assert message in f"{error.value.message} {error.value.hint}"
