"""Layouts and batches: every sequence once an epoch, within the token budget, in a seeded order."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlm_core.config import ModelConfig
from dlm_core.training.data import LengthBatches, collate, layout
from dlm_core.training.times import LossAwareTimes, stratified_times
from dlm_core.vocab import Vocab

SIZES = st.lists(st.integers(1, 20), min_size=1, max_size=60)


def rows(sizes: list[int]) -> list[list[int]]:
    return [[k] * size for k, size in enumerate(sizes)]


@given(sizes=SIZES, budget=st.integers(1, 120), seed=st.integers(0, 5))
def test_an_epoch_holds_every_sequence_once_within_the_budget(
    sizes: list[int], budget: int, seed: int
) -> None:
    batches = LengthBatches(rows(sizes), budget, seed)
    for epoch in range(2):
        seen: Counter[int] = Counter()
        for k in range(batches.batches_per_epoch):
            batch = batches[epoch * batches.batches_per_epoch + k]
            seen.update(row[0] for row in batch)
            longest = max(len(row) for row in batch)
            assert len(batch) * longest <= budget or len(batch) == 1
        assert seen == Counter(range(len(sizes)))


@given(sizes=SIZES, budget=st.integers(1, 120))
def test_any_batch_can_be_asked_for_first(sizes: list[int], budget: int) -> None:
    one, other = (LengthBatches(rows(sizes), budget, 3) for _ in range(2))
    steps = range(3 * one.batches_per_epoch)
    forward = [one[k] for k in steps]
    assert [other[k] for k in reversed(steps)] == forward[::-1]


def test_another_seed_and_another_epoch_are_another_order() -> None:
    sizes = [5] * 64
    a, b = LengthBatches(rows(sizes), 20, 0), LengthBatches(rows(sizes), 20, 1)
    assert [a[k] for k in range(16)] != [b[k] for k in range(16)]
    assert [a[k] for k in range(16)] != [a[k] for k in range(16, 32)]


def test_the_padded_layout_is_the_papers() -> None:
    vocab = Vocab.build(["a b c d e"], 0)
    config = ModelConfig(vocab_size=9, max_len=6, length_mode="padded")
    s, e, p = vocab.start, vocab.end, vocab.pad
    assert layout([4, 5], config, vocab) == [s, 4, 5, e, p, p]
    assert layout([4, 5, 6, 7, 8], config, vocab) == [s, 4, 5, 6, 7, e]


def test_the_prior_layout_is_bare_and_leaves_out_what_does_not_fit() -> None:
    vocab = Vocab.build(["a b c d e"], 0)
    config = ModelConfig(vocab_size=9, max_len=4)
    assert layout([4, 5, 6, 7], config, vocab) == [4, 5, 6, 7]
    assert layout([4] * 5, config, vocab) is None and layout([], config, vocab) is None


def test_collate_pads_on_the_right() -> None:
    tokens, lengths = collate([[4, 5, 6], [7]], pad=3)
    assert tokens.tolist() == [[4, 5, 6], [7, 3, 3]] and lengths.tolist() == [3, 1]


@given(count=st.integers(1, 200), steps=st.integers(1, 300))
def test_stratified_times_take_one_step_from_each_stratum(count: int, steps: int) -> None:
    k = stratified_times(steps, count, torch.Generator().manual_seed(0)).sort().values
    assert int(k.min()) >= 1 and int(k.max()) <= steps
    strata = (torch.arange(count) * steps / count).floor().long() + 1
    upper = ((torch.arange(count) + 1) * steps / count).ceil().long()
    assert bool((k >= strata).all()) and bool((k <= upper).all())


def test_stratified_times_are_uniform() -> None:
    generator = torch.Generator().manual_seed(0)
    draws = torch.cat([stratified_times(10, 7, generator) for _ in range(3000)])
    frequency = torch.bincount(draws, minlength=11)[1:] / len(draws)
    torch.testing.assert_close(frequency, torch.full((10,), 0.1), atol=0.01, rtol=0)


def test_a_power_of_one_half_gives_time_the_density_2t() -> None:
    k = stratified_times(10, 100_000, torch.Generator().manual_seed(0), power=0.5)
    frequency = torch.bincount(k, minlength=11)[1:] / len(k)
    edges = torch.arange(11) / 10
    torch.testing.assert_close(frequency, edges[1:] ** 2 - edges[:-1] ** 2, atol=1e-3, rtol=0)


def learned_times(train_steps: int = 40) -> tuple[LossAwareTimes, torch.Tensor]:
    """Times that have seen the loss L_k = 0.1 + k^2 / T^2 ten times each."""
    times = LossAwareTimes(train_steps)
    k = torch.arange(1, train_steps + 1)
    loss = 0.1 + (k / train_steps) ** 2
    for _ in range(10):
        times.update(k, loss)
    return times, loss


def test_importance_sampling_is_proportional_to_the_root_mean_square_loss() -> None:
    times, loss = learned_times()
    p = times.probabilities()
    expected = 0.999 * loss / loss.sum() + 0.001 / 40
    torch.testing.assert_close(p, expected)


def test_importance_sampling_is_uniform_until_every_time_is_known() -> None:
    times = LossAwareTimes(40)
    for _ in range(9):
        times.update(torch.arange(1, 41), torch.rand(40))
    times.update(torch.arange(1, 40), torch.rand(39))
    torch.testing.assert_close(times.probabilities(), torch.full((40,), 1 / 40))


@pytest.mark.parametrize("train_steps", [40, 250])
def test_importance_weights_make_the_mean_loss_unbiased(train_steps: int) -> None:
    times, loss = learned_times(train_steps)
    p = times.probabilities()
    # exactly, in expectation over k ...
    assert float((p * loss / (train_steps * p)).sum()) == pytest.approx(
        float(loss.mean()), rel=1e-5
    )
    # ... and in what `sample` draws
    k, weights = times.sample(200_000, torch.Generator().manual_seed(0))
    values = loss[k - 1] * weights
    error = float(values.std()) * 200_000**-0.5
    assert float(values.mean()) == pytest.approx(float(loss.mean()), abs=5 * error + 1e-6)
    assert float(weights.mean()) == pytest.approx(1.0, abs=5 * float(weights.std()) * 200_000**-0.5)
    # worth having: less variance than drawing k evenly
    assert float(values.std()) < 0.2 * float(loss.std())
