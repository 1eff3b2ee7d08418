"""Batches of like lengths: the same texts in the same order, less padding, nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import dlm_core as dlm
from dlm_controls import Keyword, Length, Semantic
from dlm_controls.heads.tagger import WordTagger
from dlm_core.bundle import Model
from dlm_core.control.protocol import BuildContext
from dlm_core.control.state import State
from dlm_core.generation import generate as module
from dlm_core.generation.generate import WINDOW, _batched
from dlm_core.generation.walk import Walk

PLUGINS = dlm.load_plugins(chosen=())
FAST: dict[str, Any] = {"plugins": PLUGINS, "sampling": {"steps": 3}}
REQUESTS = [dlm.Request(n=7), dlm.Request(Length(3), 2, 5), dlm.Request(Keyword("pub"), 6, 1)]


def in_batches(model: Model, size: int, **more: Any) -> list[list[tuple[int, dlm.Result]]]:
    return list(dlm.generate_batches(model, REQUESTS, batch_size=size, **{**FAST, **more}))


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_the_same_texts_in_the_same_order(tiny_model: Model, size: int) -> None:
    (together,) = in_batches(tiny_model, 64)
    order = [(owner, result.seed) for owner, result in together]
    assert order == [(o, r.seed + k) for o, r in enumerate(REQUESTS) for k in range(r.n)]
    apart = [pair for batch in in_batches(tiny_model, size) for pair in batch]
    assert [(o, r.seed, r.text) for o, r in apart] == [(o, r.seed, r.text) for o, r in together]


def test_batches_are_of_like_lengths() -> None:
    lengths = [9, 3, 8, 3, 9, 4, 8, 3]
    batches = _batched(lengths, 2)
    assert sorted(k for rows in batches for k in rows) == list(range(8))
    assert all(rows == sorted(rows) for rows in batches)  # a request's texts stay side by side
    found = [sorted(lengths[k] for k in rows) for rows in batches]
    assert sorted(found) == [[3, 3], [3, 4], [8, 8], [9, 9]]
    assert batches[0] == [0, 4]  # what is due first is made first


def test_half_of_the_positions_are_no_longer_padding(
    embedded_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []

    class Counted(Walk):
        def run(self, progress: Any = None) -> Tensor:
            seen.append((int(self.words.sum()), self.longest * len(self.words)))
            return super().run(progress)

    monkeypatch.setattr(module, "Walk", Counted)
    dlm.generate(embedded_model, n=64, batch_size=16, sampling={"steps": 1}, plugins=PLUGINS)
    words, positions = map(sum, zip(*seen, strict=True))
    assert len(seen) == 4 and words / positions > 0.75


def test_results_come_before_everything_is_walked(tiny_model: Model) -> None:
    """No result waits for more than a window."""
    steps: list[int] = []
    batches = dlm.generate_batches(
        tiny_model, [dlm.Request(n=3 * WINDOW)], batch_size=1,
        progress=lambda done, total: steps.append(total), **FAST,
    )  # fmt: skip
    first = next(iter(batches))
    assert first[0][1].seed == 0
    assert len(steps) <= WINDOW * 3 and set(steps) == {3 * WINDOW * 3}


def test_what_is_finished_comes_before_the_failure(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what stands behind the batch that failed in the order of the results."""
    run, calls = Walk.run, iter(range(99))

    def failing(self: Walk, progress: Any = None) -> Tensor:
        if next(calls) == 2:
            raise dlm.PluginError("no more")
        return run(self, progress)

    monkeypatch.setattr(Walk, "run", failing)
    seeds: list[int] = []
    with pytest.raises(dlm.PluginError, match="no more"):
        for batch in dlm.generate_batches(tiny_model, [dlm.Request(n=8)], batch_size=2, **FAST):
            seeds += [result.seed for _, result in batch]
    assert len(seeds) == len(set(seeds)) == 4


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []
    context = WordTagger.context

    def count(self: WordTagger, *given: Tensor) -> Tensor:
        calls.append(len(given[0]))
        return context(self, *given)

    monkeypatch.setattr(WordTagger, "context", count)
    return calls


def test_seven_facts_ask_the_tagger_once_a_step(
    embedded_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = [
        Semantic(**fact)
        for fact in (
            {"food": "Japanese"}, {"area": "riverside"}, {"name": "The Mill"}, {"price": "cheap"},
            {"rating": "5 out of 5"}, {"near": "Burger King"}, {"family_friendly": "yes"},
        )
    ]  # fmt: skip
    calls = counted(monkeypatch)
    dlm.generate(embedded_model, sum(facts), 2, guidance={"writer": False}, **FAST)
    assert calls == [2] * (3 + 1)  # steps, and the finished text


def test_a_gradient_is_not_lost_to_what_was_made_without() -> None:
    x = torch.ones(1, 2, 3, requires_grad=True)
    make: Callable[[], Tensor] = lambda: 2 * x  # noqa: E731
    state = State(x, torch.ones(1), torch.ones(1), torch.tensor([2]), x[0], lambda: None)  # type: ignore[arg-type, return-value]
    with torch.no_grad():
        assert not state.shared("head", make).requires_grad
    found = state.shared("head", make)
    assert found.requires_grad and state.shared("head", make) is found
    assert state.with_log_probs(x).shared("head", make) is found
    assert state.rows(slice(0, 1)).shared("head", make) is not found  # other rows, another context


def test_controls_of_a_request_share_what_is_loaded(embedded_model: Model) -> None:
    context = BuildContext(embedded_model)
    first, second = (Semantic(food=food).build(context) for food in ("Italian", "Indian"))
    assert first.tagger is second.tagger  # type: ignore[attr-defined]
    again = Semantic(food="Italian").build(BuildContext(embedded_model))
    other = Semantic(food="Italian").build(BuildContext(Model.load("e2e")))
    assert again.tagger is first.tagger  # type: ignore[attr-defined]
    assert other.tagger is not first.tagger  # type: ignore[attr-defined]


def test_deterministic_texts_are_made_alone(tiny_model: Model) -> None:
    requests = [dlm.Request(n=3), dlm.Request(n=2, seed=9)]
    alone = list(
        dlm.generate_batches(tiny_model, requests, sampling={"steps": 2}, deterministic=True)
    )
    assert [len(batch) for batch in alone] == [1] * 5
