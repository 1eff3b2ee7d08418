"""What may be passed to generate(), load() and Request(), and how the rest is refused."""

from __future__ import annotations

import copy
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

import dlm_core as dlm
from dlm_controls import Infill, Keyword, Length, Pos, Semantic
from dlm_controls.selectors import MBR, First
from dlm_core.bundle import Model
from dlm_core.control.compose import Controls, Term, as_controls

PLUGINS = dlm.load_plugins(chosen=())
FAST: dict[str, Any] = {"plugins": PLUGINS, "sampling": {"steps": 2}}


def specs(model: Model, controls: Any) -> list[str]:
    return list(dlm.generate(model, controls, **FAST)[0].verdicts)


@pytest.mark.parametrize(
    ("controls", "expected"),
    [
        ("length:5", ["length:5"]),
        (["length:5"], ["length:5"]),
        (["length:5@0.5", Keyword("pub")], ["length:5@0.5", "keyword:pub"]),
        ([["length:5"], Length(5, 6) + Keyword("pub")], ["length:5", "length:5-6", "keyword:pub"]),
        (sum([Length(5), Keyword("pub")]), ["length:5", "keyword:pub"]),
        (sum([0.5 * Length(5), Keyword("pub") * 2]), ["length:5@0.5", "keyword:pub@2"]),
        (sum([]), []),
        (None, []),
        (Term(Length(5), 2.0), ["length:5@2"]),
    ],
)
def test_what_stands_for_controls(tiny_model: Model, controls: Any, expected: list[str]) -> None:
    assert specs(tiny_model, controls) == expected


def test_a_parsed_spec_can_be_added() -> None:
    term = dlm.parse_spec("length:5@2", PLUGINS.controls)
    assert [str(t) for t in Keyword("pub") + term] == ["keyword:pub", "length:5@2"]
    assert [str(t) for t in term + Keyword("pub")] == ["length:5@2", "keyword:pub"]


def test_a_string_on_its_own_names_who_reads_it() -> None:
    with pytest.raises(dlm.UsageError, match="got the string 'length:6'") as caught:
        Length(5) + "length:6"
    assert caught.value.hint == "parse_spec('length:6', load_plugins().controls) makes one of it"
    with pytest.raises(dlm.SpecError, match="unknown control 'lenth'") as parsed:
        dlm.Request("lenth:5")
    assert parsed.value.hint == "did you mean 'length'?"


@pytest.mark.parametrize("value", [5, 0.0, False, {"length": 5}, b"length:5", [3], object()])
def test_anything_else_is_no_control(value: Any) -> None:
    with pytest.raises(dlm.UsageError, match="controls: expected a control, got"):
        as_controls(value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n=0: at least 1"),
        ({"n": -1}, "n=-1: at least 1"),
        ({"n": "2"}, "n: expected an integer, got '2'"),
        ({"n": 2.5}, "n: expected an integer, got 2.5"),
        ({"n": True}, "n: expected an integer, got True"),
        ({"seed": None}, "seed: expected an integer, got None"),
        ({"seed": 1.5}, "seed: expected an integer, got 1.5"),
        ({"batch_size": 0}, "batch_size=0: at least 1"),
        ({"batch_size": "8"}, "batch_size: expected an integer"),
        ({"keep": 1}, "'keep' has no effect without 'select'"),
        ({"n": 2, "select": "none", "keep": 5}, "cannot keep 5 of 2 candidates"),
        ({"select": "none", "keep": 0}, "keep=0: at least 1"),
        ({"select": "nine"}, "unknown selector 'nine'"),
        ({"select": 3}, "select: expected a selector, got 3"),
        ({"sampling": {"steps": 0}}, "argument 'sampling', key 'steps'"),
        ({"sampling": {"stepz": 2}}, "argument 'sampling', key 'stepz'"),
        ({"sampling": 3}, "sampling: expected a SamplingConfig or a dict, got 3"),
        ({"guidance": "papr"}, "argument 'guidance', key 'mode'"),
        ({"guidance": 1}, "guidance: expected a GuidanceConfig or a dict, got 1"),
    ],
)
def test_arguments_are_refused_by_name(
    tiny_model: Model, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(dlm.UsageError) as caught:
        dlm.generate(tiny_model, **{**FAST, **arguments})
    assert caught.value.message.startswith(message)


def test_arguments_that_stand_for_others(tiny_model: Model) -> None:
    make = dlm.generate
    plain = make(tiny_model, "length:5", 3, sampling=dlm.SamplingConfig(steps=2), plugins=PLUGINS)
    numbers = make(tiny_model, "length:5", np.int64(3), np.int32(0), **FAST)  # type: ignore[arg-type]
    assert numbers == plain
    paper = dlm.GuidanceConfig(mode="paper", guidance_steps=1)
    by_object = make(tiny_model, Keyword("pub"), guidance=paper, **FAST)
    asked = {"mode": "paper", "guidance_steps": 1}
    assert make(tiny_model, Keyword("pub"), guidance=asked, **FAST) == by_object
    assert "guidance:paper" in make(tiny_model, "length:5", guidance="paper", **FAST)[0].signature
    best = make(tiny_model, n=3, select="mbr:chrf", **FAST)
    assert best == make(tiny_model, n=3, select=MBR("chrf"), keep=1, **FAST) and len(best) == 1
    assert len(make(tiny_model, n=3, select=First(), **FAST)) == 3  # as on the command line


def test_batches_refuse_at_once(tiny_model: Model) -> None:
    with pytest.raises(dlm.UsageError, match="requests: expected a Request, got Length"):
        dlm.generate_batches(tiny_model, [Length(5)])  # type: ignore[list-item]
    with pytest.raises(dlm.UsageError, match="batch_size=0"):
        dlm.generate_batches(tiny_model, [], batch_size=0)
    with pytest.raises(dlm.UsageError, match="n: expected an integer"):
        dlm.Request(n="2")  # type: ignore[arg-type]
    assert dlm.Request("length:5", 2).controls == Controls((Term(Length(5), 1.0, "length:5"),))


class Named:
    """A path that is none of pathlib's."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


def test_a_model_by_its_path(tiny_model: Model, tmp_path: Path) -> None:
    path = tiny_model.info.path
    expected = dlm.generate(tiny_model, **FAST)
    for name in (path, str(path), Named(path)):
        assert dlm.generate(name, **FAST) == expected
        assert dlm.ModelInfo.read(name).config == tiny_model.info.config
    with pytest.raises(dlm.MissingError, match="no such model or folder"):
        dlm.load(tmp_path / "nowhere")
    for value in (None, 3, b"e2e"):
        with pytest.raises(dlm.UsageError, match="model: expected a name or a path, got"):
            dlm.load(value)  # type: ignore[arg-type]


def test_a_device_that_is_not_there(tiny_model: Model) -> None:
    for call in (lambda: dlm.load(tiny_model.info.path, "tpu9"), lambda: tiny_model.to("tpu9")):
        with pytest.raises(dlm.UsageError, match="device 'tpu9' cannot be used here"):
            call()
    assert tiny_model.to("cpu") is tiny_model


@pytest.mark.parametrize(
    ("make", "message", "hint"),
    [
        (lambda: Semantic(food=" "), "control 'semantic', field 'value': is empty", "for example"),
        (
            lambda: Semantic(food="Italian", area="riverside"),
            "control 'semantic': one fact each",
            "Semantic(food=...) + Semantic(area=...)",
        ),
        (lambda: Length("x"), "control 'length', field 'words': must be a valid integer", "for ex"),
        (lambda: Length(0), "control 'length', field 'words': must be greater", "for example"),
        (lambda: Length(9, 5), "control 'length': the range 9-5 is reversed", "length:5-9"),
        (lambda: Length(1, 2, 3), "control 'length': takes at most 2 values without a name", "for"),
        (lambda: Length(1, words=2), "control 'length': 'words' is given twice", "for example"),
        (lambda: Keyword(), "control 'keyword', field 'phrases': is missing", "for example"),
        (lambda: Pos("DET NOUM"), "control 'pos', field 'tags': unknown tag 'NOUM'", "did you"),
        (lambda: Infill(lefd="a"), "control 'infill', field 'lefd': no such field", "did you mean"),
        (lambda: MBR("blue"), "selector 'mbr': unknown utility 'blue'", "did you mean 'bleu'?"),
        (lambda: dlm.SamplingConfig(steps=0), "SamplingConfig, key 'steps'", ""),
        (lambda: dlm.SamplingConfig(stepz=1), "SamplingConfig, key 'stepz'", "did you mean"),
        (lambda: dlm.SamplingConfig(temperature=float("inf")), "SamplingConfig, key 'temper", ""),
        (lambda: dlm.GuidanceConfig(guidance_lr=float("nan")), "GuidanceConfig, key 'guid", ""),
        (lambda: dlm.SamplingConfig(5), "SamplingConfig: values are given by name", ""),
    ],
)
def test_a_wrong_value_is_an_error_of_dlm(make: Callable[[], Any], message: str, hint: str) -> None:
    with pytest.raises(dlm.UsageError) as caught:
        make()
    assert caught.value.message.startswith(message)
    assert (caught.value.hint or "").startswith(hint)
    assert isinstance(caught.value, ValueError)  # as pydantic's own error is
    assert "pydantic" not in str(caught.value)


def test_a_fact_that_no_model_knows_is_told_when_it_is_looked_at() -> None:
    with pytest.raises(dlm.UsageError, match="unknown food 'Klingon'"):
        _ = Semantic(food="Klingon").fact
    with pytest.raises(dlm.UsageError, match="unknown field 'foo'") as caught:
        _ = Semantic(foo="x").fact
    assert (caught.value.hint or "").startswith("did you mean")


def test_the_ways_of_pydantic_stay(tmp_path: Path) -> None:
    spec = Length(5, to=7)
    assert pickle.loads(pickle.dumps(spec)) == copy.deepcopy(spec) == copy.copy(spec) == spec
    assert spec.model_copy(update={"to": 9}) == Length(5, 9)
    assert Length.model_validate({"words": 5, "to": 7}) == spec
    assert Length.model_validate_json(spec.model_dump_json()) == spec
    with pytest.raises(ValidationError):
        Length.model_validate({"words": 0})
    with pytest.raises(ValidationError):
        dlm.SamplingConfig.model_validate({"steps": 0})
    assert pickle.loads(pickle.dumps(dlm.SamplingConfig(steps=3))) == dlm.SamplingConfig(steps=3)


@pytest.mark.parametrize("weight", [-1, float("nan"), float("inf"), 1e300, "a", None, 10**400])
def test_a_weight_is_a_number_that_can_steer(weight: Any) -> None:
    for make in (
        lambda: weight * Length(5),
        lambda: Length(5) * weight,
        lambda: weight * (Length(5) + Length(6)),
        lambda: Term(Length(5), weight),
    ):
        with pytest.raises(dlm.SpecError, match="the weight of 'length:5"):
            make()
    with pytest.raises(dlm.SpecError):
        Term(Length(5), weight)


def test_weights_that_are_numbers_of_another_kind() -> None:
    assert Term(Length(5), np.float32(0.5)).weight == 0.5  # type: ignore[arg-type]
    assert str(0 * Length(5)) == "length:5@0"


def test_a_model_tells_what_it_is(tiny_model: Model) -> None:
    shown = repr(tiny_model)
    assert shown.startswith(f"Model('{tiny_model.info.path.name}', 0.")
    assert f"{len(tiny_model.vocab)} words, device='cpu', heads=[]" in shown
    assert "heads=['pos', 'semantic', 'tree', 'writer']" in repr(dlm.load("e2e"))


def test_a_model_saves_itself_with_its_heads(embedded_model: Model, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    assert embedded_model.save(out) == out
    loaded = dlm.load(out)
    assert loaded.info.heads == embedded_model.info.heads
    assert (out / "README.md").read_bytes() == (embedded_model.info.path / "README.md").read_bytes()
    asked: dict[str, Any] = {"n": 2, "plugins": PLUGINS, "sampling": {"steps": 3}}
    texts = [r.text for r in dlm.generate(loaded, "semantic:food=Japanese", **asked)]
    expected = dlm.generate(embedded_model, "semantic:food=Japanese", **asked)
    assert texts == [r.text for r in expected]
    umask = os.umask(0)
    os.umask(umask)
    assert (out / "controls/tree/head.safetensors").stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_model_replaces_a_bundle_only_if_told(tiny_model: Model, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    tiny_model.save(out)
    (out / "controls/old").mkdir(parents=True)
    (out / "controls/old/config.json").write_text("{}")
    with pytest.raises(dlm.UsageError, match="exists") as caught:
        tiny_model.save(out)
    assert "force=True" in str(caught.value.hint)
    assert tiny_model.save(str(out), force=True) == out
    assert dlm.load(out).info.heads == []  # of the model that stood there
    shutil.rmtree(out / "controls", ignore_errors=True)
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/mine.txt").write_text("dear")
    with pytest.raises(dlm.UsageError, match="is no bundle"):
        tiny_model.save(tmp_path / "letters", force=True)


def test_a_model_saves_onto_itself(embedded_model: Model, tmp_path: Path) -> None:
    embedded_model.save(tmp_path / "mine")
    loaded = dlm.load(tmp_path / "mine")
    loaded.save(tmp_path / "mine", force=True)
    assert dlm.load(tmp_path / "mine").info.heads == embedded_model.info.heads
