"""Every class of error, its exit code, and that something really raises it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlm_controls import Length
from dlm_core import errors
from dlm_core.bundle import Model
from dlm_core.config import TrainConfig
from dlm_core.control.parse import parse_spec
from dlm_core.control.protocol import FunctionControl
from dlm_core.control.state import State
from dlm_core.errors import DLMError, did_you_mean, nearest
from dlm_core.generation.generate import generate
from dlm_core.guidance.guard import Guard

CODES = {
    "DLMError": 1,
    "UsageError": 2,
    "SpecError": 2,
    "MissingError": 3,
    "UnsatisfiableError": 4,
    "PluginError": 5,
}


def raise_it(name: str, model: Model, state: State) -> None:
    match name:
        case "UsageError":
            TrainConfig.read({"max_stepz": 3}, "a.toml")
        case "SpecError":
            parse_spec("lenght:3", {"length": Length})
        case "MissingError":
            Model.load("e2")
        case "UnsatisfiableError":
            generate(model, Length(500))
        case "PluginError":
            Guard(FunctionControl(lambda s: s.x_t), 1.0, "toy", "toy 1").log_prob(state)


def test_no_class_of_error_is_forgotten() -> None:
    classes = {
        name: value.exit_code
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, DLMError)
    }
    assert classes == CODES


@pytest.mark.parametrize("name", [n for n in CODES if n != "DLMError"])
def test_each_error_occurs_with_its_exit_code(
    name: str, tiny_model: Model, make_state: Callable[..., State]
) -> None:
    import torch

    with pytest.raises(getattr(errors, name)) as caught:
        raise_it(name, tiny_model, make_state(torch.zeros(2, 3, 4)))
    assert type(caught.value).__name__ == name
    assert caught.value.exit_code == CODES[name]
    assert str(caught.value) == caught.value.message


def test_a_setting_that_does_not_exist_is_named_with_the_nearest() -> None:
    with pytest.raises(errors.UsageError, match=r"a\.toml, key 'max_stepz'") as caught:
        TrainConfig.read({"max_stepz": 3}, "a.toml")
    assert caught.value.hint == "did you mean 'max_steps'?"
    with pytest.raises(errors.UsageError, match=r"key 'model\.heads'"):
        TrainConfig.read({"model": {"heads": 0}}, "a.toml")
    with pytest.raises(errors.UsageError, match="hidden=100 is not a multiple of heads=3"):
        TrainConfig.read({"model": {"hidden": 100, "heads": 3}}, "a.toml")
    with pytest.raises(errors.UsageError, match="needs readout='vector'"):
        TrainConfig.read({"model": {"parametrisation": "eps"}}, "a.toml")


def test_a_missing_or_broken_toml_is_named(tmp_path: Path) -> None:
    from dlm_core.config import load_toml

    with pytest.raises(errors.MissingError, match=r"cannot read .*no\.toml"):
        load_toml(tmp_path / "no.toml")
    (tmp_path / "a.toml").write_text("a = \n")
    with pytest.raises(errors.UsageError, match=r"a\.toml: .*line 1"):
        load_toml(tmp_path / "a.toml")


@settings(max_examples=20)
@given(word=st.text(max_size=8), choices=st.lists(st.text(min_size=1, max_size=8), max_size=8))
def test_a_hint_is_always_one_of_the_choices(word: str, choices: list[str]) -> None:
    found = nearest(word, choices)
    assert found is None or found in choices
    hint = did_you_mean(word, choices)
    assert hint == (f"did you mean '{found}'?" if found else f"known: {', '.join(choices)}")


def test_the_nearest_ignores_case_and_long_lists_are_cut() -> None:
    assert nearest("japanese", ["French", "Japanese"]) == "Japanese"
    assert did_you_mean("zzz", [str(i) for i in range(20)], limit=3) == "known: 0, 1, 2, ..."


def test_of_two_as_near_the_one_that_begins_alike_is_shown() -> None:
    assert nearest("NQ", ["ADJP", "QP", "NX", "NP"]) == "NP"
    assert nearest("NQ", ["QV", "QW", "QX", "QY", "QZ", "NP"]) == "NP"
    assert nearest("VPP", ["PP", "VP"]) == "VP"
    assert nearest("NOUM", ["NUM", "NOUN"]) == "NOUN"
    assert nearest("NUON", ["NUM", "NOUN"]) == "NOUN"
    assert nearest("PUB", ["pub", "Pub"]) == "pub"


@pytest.mark.parametrize(
    ("word", "choices"),
    [("zebra", ["Brazil", "area"]), ("ADVPP", ["PP", "VP"]), ("x", ["y"]), ("a" * 9000, ["a"])],
)
def test_nothing_is_suggested_where_nothing_is_near(word: str, choices: list[str]) -> None:
    assert nearest(word, choices) is None


def test_a_choice_that_begins_with_the_word_is_near() -> None:
    assert nearest("price", ["near", "priceRange"]) == "priceRange"
    assert nearest("price", ["priceRange", "prize"]) == "prize"


def test_an_error_repeats_little_of_what_it_got() -> None:
    source = "x" * 9000 + "HERE" + "y" * 9000
    error = errors.SpecError("wrong", source=source, span=(9000, 9004), hint="z" * 9000)
    _, shown, caret = str(error).split("\n")
    assert shown.startswith("  ...x") and shown.endswith("y...") and len(shown) < 250
    assert shown[caret.index("^") : caret.rindex("^") + 1] == "HERE"
    assert len(error.hint or "") < 900
    long = errors.UsageError(f"unknown value '{source}'\nline two")
    assert len(str(long)) < 500 and str(long).startswith("unknown value 'xxx")
    assert str(long).endswith("line two")


def test_a_place_in_a_spec_of_several_lines_is_shown_in_one() -> None:
    error = errors.SpecError("wrong", source="a\n\tb\x1b[2J c", span=(3, 4))
    assert str(error) == "wrong\n  a  b [2J c\n     ^"
