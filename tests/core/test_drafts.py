"""Several drafts of a text, of which the likeliest with the fewest faults stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

import dlm_core as dlm
from dlm_core.bundle import Model
from dlm_core.control.compose import ControlSpec
from dlm_core.control.protocol import BuildContext, Control
from dlm_core.control.state import State
from dlm_core.generation.drafts import other_seed

STEPS = {"steps": 4, "temperature": 1.0, "corrections": 0}


@dataclass
class Finds:
    """Steers nothing; a text of an odd number of letters has a fault."""

    def log_prob(self, state: State) -> Tensor:
        return torch.zeros(len(state.seeds))

    def tilt(self, state: State) -> Tensor:
        return state.token_log_probs

    def faults(self, words: Sequence[str]) -> int:
        return sum(map(len, words)) % 2


class Odd(ControlSpec):
    kind: ClassVar[str] = "odd"

    def build(self, context: BuildContext) -> Control:
        return Finds()

    def verify(self, text: str) -> dlm.Verdict:
        return dlm.Verdict(not sum(map(len, text.split())) % 2)


def made(model: Model, drafts: int, seed: int, n: int = 1) -> list[dlm.Result]:
    return dlm.generate(model, Odd(), n=n, seed=seed, sampling=STEPS | {"drafts": drafts})


def likelihood(model: Model, texts: Sequence[str]) -> float:
    """Mean log p(word | x_t) at t = 0.4 over many draws of the noise, by the definition."""
    draws = torch.Generator().manual_seed(1)
    values = []
    for text in texts:
        ids = torch.tensor([model.vocab.encode(text)] * 40)
        t = torch.full((40,), 0.4)
        noise = torch.randn(*ids.shape, model.info.config.embedding_dim, generator=draws)
        x_t = model.net.schedule.q_sample(model.net.embed(ids), t, noise)
        with torch.no_grad():
            predicted = model.net.predict(x_t, t, torch.tensor([ids.shape[1]] * 40))
        values.append(float(predicted.token_log_probs.gather(-1, ids[..., None]).mean()))
    return sum(values) / len(values)


def test_the_text_is_one_of_its_drafts(tiny_model: Model) -> None:
    for seed in range(8):
        (best,) = made(tiny_model, 5, seed)
        alone = [made(tiny_model, 1, other_seed(seed, k))[0] for k in range(5)]
        assert best.text in [draft.text for draft in alone] and best.seed == seed
        assert best.satisfied or not any(draft.satisfied for draft in alone)


def test_what_stands_is_likelier_than_a_first_draft(tiny_model: Model) -> None:
    chosen, first = ([r.tokenised for r in made(tiny_model, drafts, 0, n=30)] for drafts in (6, 1))
    assert likelihood(tiny_model, chosen) > likelihood(tiny_model, first) + 0.05


def test_drafts_do_not_depend_on_the_batch(tiny_model: Model) -> None:
    sampling = STEPS | {"drafts": 3}
    together = [r.text for r in dlm.generate(tiny_model, Odd(), n=9, sampling=sampling)]
    for size in (2, 4):
        apart = dlm.generate(tiny_model, Odd(), n=9, sampling=sampling, batch_size=size)
        assert [r.text for r in apart] == together
