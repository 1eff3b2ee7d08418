"""The bound of the likelihood models (App. F) where the answer is known, and its schedule."""

from __future__ import annotations

import copy
import itertools
import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.paper.likelihood.bound import Denoise, bound, even_times, seen
from benchmarks.paper.likelihood.model import LikelihoodModel
from benchmarks.paper.likelihood.schedule import LearnedSchedule, Level
from benchmarks.paper.likelihood.training import train
from dlm_core.config import TrainConfig
from dlm_core.training.data import LengthBatches, collate

ROOT = Path(__file__).resolve().parents[2]


def joint(words: int, length: int) -> tuple[Tensor, Tensor]:
    """All texts of `length` words (N, L), and a probability for each that is far from uniform."""
    texts = torch.tensor(list(itertools.product(range(words), repeat=length)))
    p = torch.randn(len(texts), generator=torch.Generator().manual_seed(1)).mul(2).softmax(0)
    return texts, p


def ideal(texts: Tensor, p: Tensor, words: int) -> Denoise:
    """p(w_i | z_t) by Bayes' rule over all texts."""
    one_hot = torch.nn.functional.one_hot(texts, words).float()  # (N, L, V)

    def denoise(z: Tensor, level: Level, lengths: Tensor) -> Tensor:
        gain = (level.alpha / level.sigma**2)[:, None]
        scores = gain * torch.einsum("blv,nlv->bn", z, one_hot) + p.log()
        return torch.einsum("bn,nlv->blv", scores.softmax(-1), one_hot).clamp(min=1e-30).log()

    return denoise


@pytest.mark.parametrize(("words", "length"), [(2, 1), (6, 1), (4, 2), (3, 3)])
def test_the_bound_of_the_ideal_denoiser_is_the_entropy(words: int, length: int) -> None:
    texts, p = joint(words, length)
    entropy = -float((p * p.log()).sum())
    # a few texts of low entropy need the most draws
    count, draws = 3_200_000 // (words * length), torch.Generator().manual_seed(0)
    tokens = texts[torch.multinomial(p, count, replacement=True, generator=draws)]
    schedule = LearnedSchedule(-5.0, 9.0)
    t = even_times(count, draws)
    lengths = torch.full((count,), length)
    with torch.no_grad():
        found = bound(ideal(texts, p, words), schedule, tokens, lengths, words, t, draws)
    error = float(found.total.std()) / math.sqrt(count)
    assert error < 0.01 * entropy
    assert abs(float(found.total.mean()) - entropy) < 3 * error


def test_a_worse_denoiser_has_a_larger_bound_by_its_divergence_from_the_truth() -> None:
    # exact for another p: then the bound is the cross-entropy, H(p) + KL(p | q)
    texts, p = joint(5, 1)
    q = torch.full_like(p, 0.2)
    count, draws = 60_000, torch.Generator().manual_seed(0)
    tokens = texts[torch.multinomial(p, count, replacement=True, generator=draws)]
    with torch.no_grad():
        found = bound(
            ideal(texts, q, 5), LearnedSchedule(-7.0, 9.0), tokens,
            torch.ones(count, dtype=torch.int64), 5, even_times(count, draws), draws,
        )  # fmt: skip
    assert float(found.total.mean()) == pytest.approx(math.log(5), rel=0.02)


@pytest.mark.parametrize("output_prior", [True, False])
def test_positions_beyond_a_text_cost_nothing(output_prior: bool) -> None:
    model = tiny(output_prior=output_prior)
    tokens, t = torch.tensor([[1, 2, 3, 0, 0]]), torch.tensor([0.4])
    lengths = torch.tensor([3])
    values = []
    for beyond in (0, 4):
        tokens[:, 3:] = beyond
        found = bound(
            model, model.schedule, tokens, lengths, 6, t, torch.Generator().manual_seed(0)
        )
        values.append(found)
    for first, second in zip(*values, strict=True):
        torch.testing.assert_close(first, second)


def tiny(**changes: bool) -> LikelihoodModel:
    torch.manual_seed(0)
    lengths = torch.tensor([0, 1, 1, 4, 2, 1])
    return LikelihoodModel(torch.arange(6) + 1, lengths, 16, 1, 2, **changes).eval()


@pytest.mark.parametrize("middle", [None, -1.3])
def test_a_schedule_rises_between_its_ends_with_the_slope_it_tells(middle: float | None) -> None:
    torch.manual_seed(3)
    schedule = LearnedSchedule(-5.0, 7.5, middle).double()
    with torch.no_grad():
        schedule.outer.normal_()
    t = torch.linspace(0, 1, 101, dtype=torch.float64, requires_grad=True)
    level = schedule(t)
    ends = level.gamma.detach()[[0, -1]]
    torch.testing.assert_close(ends, torch.tensor([-5, 7.5], dtype=torch.float64))
    assert bool((level.gamma.diff() > 0).all())
    (slope,) = torch.autograd.grad(level.gamma.sum(), t)
    torch.testing.assert_close(level.slope, slope)
    torch.testing.assert_close(level.alpha**2 + level.sigma**2, torch.ones_like(t))
    torch.testing.assert_close(level.alpha**2 / level.sigma**2, level.snr)


def test_a_schedule_begins_with_its_times_around_the_middle() -> None:
    torch.manual_seed(0)
    gamma = LearnedSchedule(-6.0, 8.0, middle=-1.0, spread=0.5)(torch.linspace(0, 1, 2001)).gamma
    inside = ((gamma > -1 - 0.5 * math.log(3)) & (gamma < -1 + 0.5 * math.log(3))).float().mean()
    assert float(inside) == pytest.approx(0.5, abs=0.03)  # quartiles of a logistic distribution


def test_training_gives_the_schedule_the_gradient_of_the_variance() -> None:
    """One step of `train` against autograd through the net: App. H, by another way."""
    model = tiny()
    ids = [[1, 2, 3], [3, 4, 5], [2, 2, 4]]
    config = TrainConfig(max_steps=1, warmup_steps=0, batch_tokens=100, precision="fp32", seed=3)
    hooked: list[Tensor] = []
    other = copy.deepcopy(model)
    for parameter in model.schedule.parameters():
        parameter.register_hook(lambda gradient: hooked.append(gradient.clone()))
    train(model, ids, 0, config)
    draws = torch.Generator().manual_seed(3)
    tokens, lengths = collate(LengthBatches(ids, 100, 3)[0], 0)
    level = other.schedule(even_times(3, draws))
    surprise = seen(other, level, tokens, lengths, 6, draws).surprise / lengths
    spread = (level.weight * surprise).square().mean()
    expected = torch.autograd.grad(spread, list(other.schedule.parameters()))
    for gradient in expected:
        assert any(
            gradient.shape == found.shape and torch.allclose(gradient, found, rtol=1e-3, atol=1e-6)
            for found in hooked
        )


def test_a_learned_schedule_makes_the_bound_vary_less_and_leaves_its_mean() -> None:
    texts, p = joint(4, 2)
    denoise, draws = ideal(texts, p, 4), torch.Generator().manual_seed(0)
    schedule = LearnedSchedule(-4.0, 20.0)  # half of the time there is nothing but noise

    def diffusion(count: int) -> Tensor:
        tokens = texts[torch.multinomial(p, count, replacement=True, generator=draws)]
        t, lengths = torch.rand(count, generator=draws), torch.full((count,), 2)
        return bound(denoise, schedule, tokens, lengths, 4, t, draws).diffusion

    with torch.no_grad():
        before = diffusion(40_000)
    optimizer = torch.optim.Adam(schedule.parameters(), lr=0.03)
    for _ in range(200):
        optimizer.zero_grad()
        diffusion(1000).square().mean().backward()
        optimizer.step()
    with torch.no_grad():
        after = diffusion(40_000)
    assert float(after.var()) < 0.8 * float(before.var())
    spread = math.sqrt(float(before.var() + after.var()) / 40_000)
    assert abs(float(after.mean() - before.mean())) < 4 * spread


def test_it_begins_as_bayes_rule_for_words_that_are_independent() -> None:
    model = tiny()
    counts = torch.arange(6) + 1.1  # smoothed by 0.1
    t, lengths = torch.tensor([0.2, 0.6, 0.9]), torch.full((3,), 4)
    level = model.schedule(t)
    z = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        model.trunk.outputs.weight.zero_()
        for net in (model.gain, model.shift):
            net[-1].weight.zero_()
        found = model(z, level, lengths)
        exact = counts.log() + (level.alpha / level.sigma**2)[:, None, None] * z
    torch.testing.assert_close(found, exact.log_softmax(-1))


def test_the_commands_train_and_measure(tmp_path: Path) -> None:
    texts = ["the mill is a cheap pub", "the eagle is near the mill"]
    (tmp_path / "corpus.txt").write_text("\n".join(texts * 40))
    corpus = f"text:{tmp_path / 'corpus.txt'}"

    def run(*argv: object) -> dict[str, dict[str, float]]:
        script = ROOT / "benchmarks/paper/likelihood/run.py"
        command = [sys.executable, str(script), *map(str, argv)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found: dict[str, dict[str, float]] = json.loads(done.stdout)
        return found

    told = run(
        "train", "--corpus", corpus, "--out", tmp_path / "out", "--steps", 120, "--hidden", 32,
        "--layers", 1, "--batch-tokens", 100, "--lr", 3e-3,
    )  # fmt: skip
    assert told["parameters"] > 10_000
    figures = run("bound", tmp_path / "out", "--valid", corpus, "--draws", 4)["diffusion"]
    found = {name: figure["value"] for name, figure in figures.items()}  # type: ignore[index]
    parts = sum(found[k] for k in ("length", "prior", "reconstruction", "diffusion"))
    assert found["bound"] == pytest.approx(parts)
    # six words and END a text: two texts take log 2 nats; words drawn alone, their entropy
    counts = [text.split() for text in texts]
    shares = [n / 12 for n in Counter(w for words in counts for w in words).values()]
    alone = -sum(p * math.log(p) for p in shares) * 6 / 7
    assert math.log(2) / 7 < found["bound"] < 0.8 * alone
