"""Texts whose controls find faults in them are noised again and finished anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

import dlm_core as dlm
from dlm_core.bundle import Model
from dlm_core.control.compose import ControlSpec
from dlm_core.control.protocol import BuildContext, Control
from dlm_core.control.state import State
from dlm_core.errors import PluginError

STEPS = {"steps": 4, "temperature": 1.0}


@dataclass
class Finds:
    """Steers nothing; counts what a rule finds wrong."""

    rule: Callable[[Sequence[str]], Any]

    def log_prob(self, state: State) -> Tensor:
        return torch.zeros(len(state.seeds))

    def tilt(self, state: State) -> Tensor:
        return state.token_log_probs

    def faults(self, words: Sequence[str]) -> Any:
        return self.rule(words)


def even(words: Sequence[str]) -> int:
    """A fault that about half of the texts have."""
    return sum(map(len, words)) % 2


RULES: dict[str, Callable[[Sequence[str]], Any]] = {
    "even": even,
    "always": lambda words: 1,
    "no count": lambda words: "many",
}


class Rule(ControlSpec):
    kind: ClassVar[str] = "rule"
    positional: ClassVar[tuple[str, ...]] = ("name",)
    name: str

    def build(self, context: BuildContext) -> Control:
        return Finds(RULES[self.name])

    def verify(self, text: str) -> dlm.Verdict:
        return dlm.Verdict(not RULES[self.name](text.split()))


def texts(model: Model, rule: str, n: int = 12, **more: Any) -> list[str]:
    sampling = STEPS | more.pop("sampling", {})
    return [
        r.tokenised for r in dlm.generate(model, Rule(name=rule), n=n, sampling=sampling, **more)
    ]


def test_only_texts_with_faults_change_and_fewer_have_any(tiny_model: Model) -> None:
    before = texts(tiny_model, "even", n=40, sampling={"corrections": 0})
    after = texts(tiny_model, "even", n=40, sampling={"corrections": 4})
    faulty = [bool(even(text.split())) for text in before]
    assert 8 < sum(faulty) < 32
    assert all(a == b for a, b, bad in zip(before, after, faulty, strict=True) if not bad)
    assert sum(even(text.split()) for text in after) < sum(faulty) / 3
    assert [len(a.split()) for a in after] == [len(b.split()) for b in before]


def test_corrections_do_not_depend_on_the_batch(tiny_model: Model) -> None:
    together = texts(tiny_model, "even")
    assert texts(tiny_model, "even", deterministic=True) == together
    assert texts(tiny_model, "even", batch_size=5) == together


def test_held_words_stay(tiny_model: Model) -> None:
    from dlm_controls import Infill

    spec = Infill(left="The Mill", right=".") + Rule(name="even")
    for result in dlm.generate(tiny_model, spec, n=10, sampling=STEPS):
        assert result.tokenised.startswith("The Mill") and result.tokenised.endswith(".")


def test_what_is_no_count_is_told(tiny_model: Model) -> None:
    with pytest.raises(PluginError, match="faults"):
        texts(tiny_model, "no count")
