"""The conformance kit passes sound controls and says what is wrong with others."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
import torch
from pydantic import field_validator

from dlm_controls import Infill, Length
from dlm_core.bundle import Model
from dlm_core.control.compose import ControlSpec
from dlm_core.control.protocol import BuildContext, Control
from dlm_core.control.state import State
from dlm_core.control.verdict import Verdict
from dlm_core.testing import assert_control


class Keyword(ControlSpec):
    """Make each of these words appear somewhere."""

    kind: ClassVar[str] = "keyword"
    positional: ClassVar[tuple[str, ...]] = ("words",)
    examples: ClassVar[tuple[str, ...]] = ("keyword:pub,cheap",)

    words: tuple[str, ...]

    @field_validator("words", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(value.split(",")) if isinstance(value, str) else value

    def build(self, context: BuildContext) -> Control:
        from dlm_core.control.probability import log_any

        ids = [context.vocab.id(word) for word in self.words]
        return context.control(
            lambda s: log_any(s.token_log_probs[..., ids], dim=1).sum(-1), multilinear=len(ids) == 1
        )

    def verify(self, text: str) -> Verdict:
        return Verdict(all(word in text.split() for word in self.words))


class Faulty(Keyword):
    """A keyword control with one fault."""

    kind: ClassVar[str] = "faulty"
    examples: ClassVar[tuple[str, ...]] = ()
    fault: str = ""

    def body(self) -> str:
        if self.fault == "loses a field":
            return json.dumps({"words": list(self.words)})
        return super().body()

    def build(self, context: BuildContext) -> Control:
        good = super().build(context).log_prob
        calls = []

        def log_prob(state: State) -> Any:
            calls.append(1)
            value = good(state)
            if self.fault == "shape":
                return state.token_log_probs.sum(-1)
            if self.fault == "nan":
                return value * torch.nan
            if self.fault == "raises":
                raise KeyError("label")
            if self.fault == "constant":
                return torch.zeros(len(state.x_t))
            if self.fault == "zero gradient":
                return value * 0.0 - 1.0
            if self.fault == "mixes":
                return value + value.flip(0) if len(value) > 1 else value
            if self.fault == "random":
                return value - len(calls)
            if self.fault == "only x_t":
                return -state.x_t.square().mean((1, 2))
            if self.fault == "detached from x_t":
                q = state.token_log_probs if not state.x_t.requires_grad else None
                return value if q is not None else torch.zeros(len(state.x_t), requires_grad=True)
            if self.fault == "lowers":
                clean = bool((state.token_log_probs.amax(-1) > -1e-3).all())
                return value if clean else torch.log1p(-0.999 * value.exp())  # log(1 - p)
            return value

        return context.control(log_prob)

    def verify(self, text: str) -> Any:
        if self.fault == "judge fails":
            raise ZeroDivisionError("no words")
        return True if self.fault == "judge says a bool" else super().verify(text)


@pytest.mark.parametrize(
    "spec",
    [Keyword("pub"), Keyword("pub,cheap"), Length(6), Length(3, 9), Infill(left="The", words=3)],
    ids=str,
)
def test_sound_controls_pass(spec: ControlSpec, tiny_model: Model) -> None:
    assert_control(spec, tiny_model)


def test_a_spec_string_of_an_installed_control_passes(padded_model: Model) -> None:
    assert_control("infill:left=The Mill,right=.,words=4", padded_model)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("loses a field", "does not read as itself|is written"),
        ("shape", r"log_prob returned shape \(4, 6\)|log_prob returned shape"),
        ("nan", "NaN or infinity"),
        ("raises", "KeyError: 'label'"),
        ("constant", "no gradient"),
        ("zero gradient", "the gradient in token_log_probs is zero"),
        ("mixes", "samples mix"),
        ("random", "differs from one call to the next"),
        ("only x_t", "no gradient"),
        ("detached from x_t", "does not depend on x_t"),
        ("judge fails", "failed at verify: ZeroDivisionError: no words"),
        ("judge says a bool", "verify returned bool, expected a Verdict"),
        ("lowers", "guidance does not raise"),
    ],
)
def test_a_faulty_control_fails_by_name(fault: str, message: str, tiny_model: Model) -> None:
    with pytest.raises(AssertionError, match=message) as caught:
        assert_control(Faulty(words=("pub",), fault=fault), tiny_model)
    assert str(caught.value).startswith("faulty:")


def test_the_kit_passes_a_control_without_a_fault(tiny_model: Model) -> None:
    assert_control(Faulty(words=("pub",)), tiny_model)


def test_the_embedded_model_is_the_default() -> None:
    assert_control(Keyword("riverside"))


@pytest.mark.parametrize(
    "spec", ["semantic:food=Japanese", 'pos:"PROPN AUX DET ADJ NOUN ..."', "length:10-14"]
)
def test_the_built_in_controls_keep_their_promises(spec: str, embedded_model: Model) -> None:
    kind = spec.partition(":")[0]
    if kind != "length" and kind not in embedded_model.info.heads:
        pytest.skip(f"the embedded model has no head for {kind} yet")
    assert_control(spec, embedded_model)
