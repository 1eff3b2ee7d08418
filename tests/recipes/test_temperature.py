"""A bundle says the temperature of texts without controls: where its teacher expects them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import dlm_core as dlm
from dlm_core.bundle import SAMPLING, ModelInfo, copy_bundle
from dlm_core.config import SamplingConfig
from dlm_core.errors import MissingError
from dlm_core.evaluation.teacher import Teacher
from dlm_core.recipes import temperature
from dlm_core.recipes.records import Records
from dlm_core.recipes.temperature import EVIDENCE, FIRST_SEED, TEMPERATURES, choices, rounds_of

PLUGINS = dlm.load_plugins(chosen=())


def texts(model, controls=None, **sampling) -> list[str]:
    settings = {"steps": 2, **sampling}
    return [r.text for r in dlm.generate(model, controls, 4, sampling=settings, plugins=PLUGINS)]


def say(bundle: Path, **values) -> dlm.Model:
    (bundle / SAMPLING).write_text(json.dumps(values))
    return dlm.load(bundle)


def test_the_one_whose_texts_are_as_likely_as_real_ones_is_kept(whole: Path) -> None:
    figures = Records.read(whole).stages["temperature"].figures
    said = ModelInfo.read(whole).sampling.free_temperature
    apart = {r["free_temperature"]: abs(r["nats"] - figures["held out"]) for r in figures["tried"]}
    assert 0 < len(apart) <= 3 and apart[said] == min(apart.values())
    # one of them again, from its texts
    row = figures["tried"][0]
    sampling = {"steps": 2, "temperature": row["free_temperature"]}
    results = dlm.generate(whole, None, 6, FIRST_SEED, sampling=sampling, plugins=PLUGINS)
    totals = Teacher.load(whole / "teacher").totals([r.tokenised for r in results])
    assert row["nats"] == pytest.approx(sum(a / b for a, b in totals) / len(totals), rel=1e-4)


def test_what_a_recipe_says_is_not_measured() -> None:
    """Of the others the best is looked for."""
    recipe = SimpleNamespace(
        lm=SimpleNamespace(model=SimpleNamespace(evidence=True)),
        evaluate=SimpleNamespace(sampling=SamplingConfig(temperature=0.7, drafts=6)),
    )
    job = SimpleNamespace(recipe=recipe)
    assert {(own.free_temperature, own.drafts) for (own,) in choices(job)} == {(0.7, 6)}
    assert sorted(own.evidence for (own,) in choices(job)) == sorted(EVIDENCE)
    recipe.evaluate.sampling = SamplingConfig(evidence=0.6)
    (one,) = choices(job)
    assert {(own.evidence, own.drafts) for own in one} == {(0.6, 1)}
    assert [own.free_temperature for own in one] == sorted(TEMPERATURES)


@pytest.mark.parametrize("real", [-1.0, 0.3, 0.5, 0.74, 1.1, 1.6, 9.0])
def test_halving_finds_what_trying_all_finds(
    real: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nats that rise with the temperature, here as the temperature itself less the evidence."""
    recipe = SimpleNamespace(
        lm=SimpleNamespace(model=SimpleNamespace(evidence=True)),
        evaluate=SimpleNamespace(sampling=SamplingConfig(), texts=5),
    )
    job = SimpleNamespace(
        recipe=recipe, out=tmp_path, teacher=object, forget_model=int, held_out=lambda *_: None
    )
    told = []

    def made(_job, own, _count, step) -> float:
        told.append(step)
        return own.free_temperature - own.evidence / 100

    monkeypatch.setattr(temperature, "_texts", made)
    monkeypatch.setattr(temperature, "_nats", lambda texts, _: real if texts is None else texts)
    temperature.set_temperature(job, False)
    every = [own for temperatures in choices(job) for own in temperatures]
    apart = [abs(own.free_temperature - own.evidence / 100 - real) for own in every]
    said = json.loads((tmp_path / SAMPLING).read_text())
    found = abs(said["free_temperature"] - said["evidence"] / 100 - real)
    assert found <= min(apart) + 0.25 and len(told) <= sum(map(rounds_of, choices(job))) == 9
    assert [number for number, _ in told] == list(range(len(told)))


def test_texts_without_controls_take_it_and_others_do_not(run: Path) -> None:
    even, wild = say(run, free_temperature=0.25), texts(say(run, free_temperature=1.5))
    assert texts(even) == texts(even, temperature=0.25) != wild
    assert texts(even, "length:5") == texts(say(run, free_temperature=1.5), "length:5")


def test_its_number_of_drafts_is_that_of_texts_no_writer_writes(run: Path) -> None:
    """The likelier of several: other texts than the first ones, with and without controls."""
    usual, several = say(run), say(run, drafts=3)
    for controls in (None, "length:5"):
        assert texts(several, controls) == texts(usual, controls, drafts=3)
        assert texts(several, controls, drafts=1) == texts(usual, controls)
    assert texts(several) != texts(usual)


def test_signatures_tell_it(run: Path) -> None:
    def signed(model: dlm.Model) -> str:
        return dlm.generate(model, sampling={"steps": 1}, plugins=PLUGINS)[0].signature

    said = signed(say(run, free_temperature=0.5, drafts=2))
    assert "temperature:0.5" in said and "drafts:2" in said
    assert "temperature" not in signed(say(run)) and "drafts" not in signed(say(run))


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
