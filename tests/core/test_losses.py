"""Parametrisations agree on x_0; the loss terms against App. E, hand computation and KL."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dlm_core.bundle import Model
from dlm_core.config import LossWeights, ModelConfig, TrainConfig
from dlm_core.diffusion.model import DiffusionLM
from dlm_core.diffusion.prediction import Prediction
from dlm_core.diffusion.rollout import Rollout, draw_rollout
from dlm_core.diffusion.rounding import pick_words

T = 100
MakeModel = Callable[..., Model]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def small(parametrisation: str = "x_0", **changes: object) -> DiffusionLM:
    torch.manual_seed(0)
    config = {"vocab_size": 9, "embedding_dim": 4, "max_len": 6, "train_steps": T, "hidden": 16}
    config |= {"layers": 1, "heads": 2, "parametrisation": parametrisation, "readout": "vector"}
    return DiffusionLM(ModelConfig(**{**config, **changes})).eval()


@pytest.mark.parametrize("parametrisation", ["x_0", "eps", "mu"])
@pytest.mark.parametrize("k", [1, 2, 50, 99])
def test_a_perfect_network_gives_x_0_in_every_parametrisation(
    parametrisation: str, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = small(parametrisation)
    x_0, eps = random(3, 6, 4, seed=1), random(3, 6, 4, seed=2)
    t = torch.full((3,), k / T)
    x_t = net.schedule.q_sample(x_0, t, eps)
    mu = net.schedule.q_posterior(x_0, x_t, t, torch.full((3,), (k - 1) / T)).mean
    output = {"x_0": x_0, "eps": eps, "mu": mu}[parametrisation]
    monkeypatch.setattr(net.denoiser, "denoise", lambda *_: output)
    found = net.predict(x_t, t, torch.full((3,), 6)).x_0_hat
    torch.testing.assert_close(found, x_0, atol=5e-3, rtol=5e-3)


@pytest.mark.parametrize("k", [2, 3, 40, 99])
def test_the_simple_weight_is_the_squared_distance_of_the_posterior_means(k: int) -> None:
    net = small()
    x_0, x_0_hat, x_t = (random(1, 6, 4, seed=i).double() for i in range(3))
    t, s = (torch.tensor([v / T], dtype=torch.float64) for v in (k, k - 1))
    mu_hat = net.schedule.q_posterior(x_0, x_t, t, s).mean
    mu_theta = net.schedule.q_posterior(x_0_hat, x_t, t, s).mean
    direct = float((mu_theta - mu_hat).square().sum())
    weighted = float(net.step_weight("simple", t)) * float((x_0_hat - x_0).square().sum())
    assert weighted == pytest.approx(direct, rel=1e-8)


@pytest.mark.parametrize("k", [2, 3, 40, 99])
def test_the_vlb_weight_is_t_times_the_kl_of_the_two_posteriors(k: int) -> None:
    net = small()
    x_0, x_0_hat, x_t = (random(1, 6, 4, seed=i).double() for i in range(3))
    t, s = (torch.tensor([v / T], dtype=torch.float64) for v in (k, k - 1))
    q = net.schedule.q_posterior(x_0, x_t, t, s)
    p = net.schedule.q_posterior(x_0_hat, x_t, t, s)
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(q.mean, q.var.sqrt()),
        torch.distributions.Normal(p.mean, p.var.sqrt()),
    ).sum()
    weighted = float(net.step_weight("vlb", t)) * float((x_0_hat - x_0).square().sum())
    assert weighted == pytest.approx(T * float(kl), rel=1e-8)


@pytest.mark.parametrize("objective", ["x0_simple", "simple", "vlb"])
def test_every_term_is_what_the_equations_say(objective: str) -> None:
    # eq. 2 and App. E, one position and one coordinate at a time; row 1 is at the first step
    net = small(sigma_0=0.2)
    tokens, lengths = torch.tensor([[5, 7, 8], [4, 6, 3], [8, 4, 5]]), [3, 2, 1]
    t = torch.tensor([0.37, 1 / T, 0.9])
    noise = random(3, 3, 4, seed=3), random(3, 3, 4, seed=4)
    with torch.no_grad():
        net.rounding_bias.copy_(random(9, seed=5))
        found = net.losses(tokens, torch.tensor(lengths), t, noise, objective)  # type: ignore[arg-type]
        table, bias = net.embedding_matrix, net.rounding_bias.detach()
        words = table[tokens]
        x_0 = words + 0.2 * noise[0]
        ab = net.schedule.alpha_bar(t)[:, None, None]
        x_t = ab.sqrt() * x_0 + (1 - ab).sqrt() * noise[1]
        predicted = net.predict(x_t, t, torch.tensor(lengths))
    for row, n in enumerate(lengths):
        mse = rounding = anchor = prior = 0.0
        for i in range(n):
            target = words[row, i] if row == 1 else x_0[row, i]
            for d in range(4):
                mse += float(predicted.x_0_hat[row, i, d] - target[d]) ** 2 / (n * 4)
                prior += 1e-5 * float(x_0[row, i, d]) ** 2 / (n * 4)
            for vector, name in ((x_0[row, i], "rounding"), (predicted.x_0_hat[row, i], "anchor")):
                logits = [float(vector @ table[w] + bias[w]) for w in range(9)]
                nll = math.log(sum(math.exp(v) for v in logits)) - logits[int(tokens[row, i])]
                rounding += nll / n if name == "rounding" else 0.0
                anchor += nll / n if name == "anchor" else 0.0
        weight = 1.0 if row == 1 else float(net.step_weight(objective, t)[row])  # type: ignore[arg-type]
        assert float(found.mse[row]) == pytest.approx(weight * mse, rel=1e-4)
        assert float(found.prior[row]) == pytest.approx(prior, rel=1e-4)
        assert float(found.rounding[row]) == pytest.approx(rounding, rel=1e-4)
        assert float(found.anchor[row]) == pytest.approx(anchor, rel=1e-4)


def test_the_total_is_the_weighted_sum_of_the_terms() -> None:
    net = small()
    noise = random(2, 3, 4, seed=3), random(2, 3, 4, seed=4)
    losses = net.losses(
        torch.tensor([[5, 7, 8], [4, 6, 3]]), torch.tensor([3, 3]), torch.ones(2), noise
    )
    weights = LossWeights(mse=2.0, prior=3.0, rounding=5.0, anchor=0.0)
    expected = 2 * losses.mse + 3 * losses.prior + 5 * losses.rounding
    torch.testing.assert_close(losses.total(weights), expected)


@pytest.mark.parametrize("changes", [{}, {"self_conditioning": False, "readout": "words"}])
def test_a_padded_batch_has_the_losses_of_its_texts_one_by_one(changes: dict[str, object]) -> None:
    net = small(**changes)
    texts = [[5, 7, 8, 4, 6], [4, 6, 8], [7, 5]]
    tokens = torch.tensor([row + [3] * (5 - len(row)) for row in texts])
    lengths = torch.tensor([5, 3, 2])
    t = torch.tensor([0.2, 0.5, 0.9])
    noise = random(3, 5, 4, seed=3), random(3, 5, 4, seed=4)
    with torch.no_grad():
        batch = net.losses(tokens, lengths, t, noise, self_condition=True)
        for i, row in enumerate(texts):
            n = len(row)
            alone = net.losses(
                torch.tensor([row]),
                torch.tensor([n]),
                t[i : i + 1],
                (noise[0][i : i + 1, :n], noise[1][i : i + 1, :n]),
                self_condition=True,
            )
            for name in ("mse", "prior", "rounding", "anchor"):
                torch.testing.assert_close(
                    getattr(batch, name)[i : i + 1], getattr(alone, name), atol=1e-5, rtol=1e-4
                )


def test_unit_embeddings_have_norm_root_d_and_words_are_their_own_nearest() -> None:
    net = small(embedding="unit")
    norms = net.embedding_matrix.norm(dim=-1)
    torch.testing.assert_close(norms, torch.full((9,), 2.0))
    ids = torch.arange(9)[None]
    assert torch.equal(net.nearest_word(net.embed(ids)), ids)


def test_nearest_word_is_the_euclidean_nearest_for_free_embeddings() -> None:
    net = small(embedding="free")
    with torch.no_grad():  # norms that differ: the nearest is not the largest dot product
        net.embedding.weight.mul_(torch.linspace(0.2, 3, 9)[:, None])
    x = random(2, 6, 4, seed=9)
    expected = torch.cdist(x, net.embedding_matrix.expand(2, -1, -1)).argmin(-1)
    assert torch.equal(net.nearest_word(x), expected)
    assert not torch.equal((x @ net.embedding_matrix.T).argmax(-1), expected)


def test_self_conditioning_estimates_first_and_lets_no_gradient_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = small()
    calls: list[Tensor | None] = []
    original = net.predict

    def predict(x_t: Tensor, t: Tensor, lengths: Tensor, prev: Tensor | None = None, *_: None):  # type: ignore[no-untyped-def]
        calls.append(prev)
        return original(x_t, t, lengths, prev)

    monkeypatch.setattr(net, "predict", predict)
    noise = random(1, 3, 4, seed=3), random(1, 3, 4, seed=4)
    net.losses(
        torch.tensor([[5, 7, 8]]), torch.tensor([3]), torch.ones(1), noise, self_condition=True
    )
    assert calls[0] is None
    assert calls[1] is not None and not calls[1].requires_grad and bool(calls[1].any())


def test_positions_beyond_the_length_reach_no_existing_position(tiny_model: Model) -> None:
    x = random(1, 9, 8, seed=1)
    changed = x.clone()
    changed[:, 5:] += 10.0
    t, lengths = torch.tensor([0.4]), torch.tensor([5])
    with torch.no_grad():
        a, b = (tiny_model.net.predict(v, t, lengths).token_log_probs for v in (x, changed))
    assert torch.equal(a[:, :5], b[:, :5])


def test_the_network_counts_positions_from_both_ends(tiny_model: Model) -> None:
    x = torch.zeros(1, 9, 8)
    t = torch.tensor([0.4])
    with torch.no_grad():
        short, long = (
            tiny_model.net.predict(x, t, torch.tensor([n])).token_log_probs[0] for n in (5, 9)
        )
    assert (short[4] - long[4]).abs().max() > 0.01


def test_readout_words_estimates_x_0_as_the_mean_word_vector(tiny_model: Model) -> None:
    net = tiny_model.net
    with torch.no_grad():
        p = net.predict(random(2, 5, 8), torch.tensor([0.3, 0.8]), torch.tensor([5, 4]))
    expected = torch.einsum("blv,vd->bld", p.token_log_probs.exp(), net.embedding_matrix)
    torch.testing.assert_close(p.x_0_hat, expected)


def rollout(gap: float, batch: int, length: int, seed: int, **changed: torch.Tensor) -> Rollout:
    generator = torch.Generator().manual_seed(seed)
    drawn = Rollout(
        gap=torch.full((batch,), gap),
        temperature=torch.full((batch, 1, 1), 0.5),
        uniform=torch.rand(batch, length, generator=generator),
        noise=random(batch, length, 4, seed=seed + 1),
        cells=torch.zeros(batch, 9, dtype=torch.int64),
        hinted=torch.zeros(batch, length, dtype=torch.bool),
    )
    return drawn._replace(**changed)


def test_a_rollout_of_a_perfect_network_is_a_draw_from_the_forward_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # a network that knows the words turns q(x_{t+gap}) into exactly q(x_t): mean and variance
    net = small(sigma_0=0.0)
    batch = 20_000
    tokens = torch.tensor([[5, 7]]).expand(batch, 2)
    truth = torch.nn.functional.one_hot(tokens, 9).float().log().clamp(min=-40.0)
    words = net.embed(tokens).detach()
    known = Prediction(words, truth)
    monkeypatch.setattr(net, "predict", lambda *_: known)
    t = torch.full((batch,), 0.3)
    lengths, noise = torch.full((batch,), 2), random(batch, 2, 4, seed=5)
    x_t, _ = net._roll_out(words, tokens, t, lengths, noise, rollout(0.25, batch, 2, 6))
    alpha_bar = float(net.schedule.alpha_bar(t[:1]))
    torch.testing.assert_close(x_t.mean(0), alpha_bar**0.5 * words[0], atol=0.03, rtol=0)
    torch.testing.assert_close(x_t.var(0), torch.full((2, 4), 1 - alpha_bar), atol=0.02, rtol=0.03)


def test_a_rollout_at_pure_noise_is_pure_noise() -> None:
    net = small(readout="words", self_conditioning=True)
    tokens, lengths, t = torch.tensor([[5, 7, 8]]), torch.tensor([3]), torch.ones(1)
    noise = random(1, 3, 4, seed=1), random(1, 3, 4, seed=2)
    x_0 = net.embed(tokens)
    x_t, _ = net._roll_out(x_0, tokens, t, lengths, noise[1], rollout(0.3, 1, 3, 3))
    torch.testing.assert_close(x_t, net.schedule.q_sample(x_0, t, noise[1]), atol=1e-4, rtol=1e-4)
    losses = net.losses(tokens, lengths, t, noise, "x0_simple", True, rollout(0.3, 1, 3, 3))
    assert all(bool(value.isfinite().all()) for value in vars(losses).values())


def test_a_hint_of_the_word_itself_gives_the_word_and_only_there() -> None:
    net = small(readout="words", self_conditioning=True)
    tokens, lengths, t = torch.tensor([[5, 7, 8]]), torch.tensor([3]), torch.tensor([0.4])
    noise = random(1, 3, 4, seed=2)
    hinted = torch.tensor([[True, False, True]])
    cells = torch.arange(9)[None]  # each word alone in its cell
    drawn = rollout(0.3, 1, 3, 3, cells=cells, hinted=hinted)
    x_0 = net.embed(tokens)
    _, told = net._roll_out(x_0, tokens, t, lengths, noise, drawn)
    _, untold = net._roll_out(x_0, tokens, t, lengths, noise, rollout(0.3, 1, 3, 3))
    torch.testing.assert_close(told[hinted], x_0[hinted])
    torch.testing.assert_close(told[~hinted], untold[~hinted])


@given(st.integers(0, 2**16))
def test_a_hint_is_bayes_rule_on_the_cell(seed: int) -> None:
    log_q = random(2, 3, 9, seed=seed).log_softmax(-1)
    generator = torch.Generator().manual_seed(seed)
    cells = torch.randint(3, (2, 9), generator=generator)
    tokens = torch.randint(9, (2, 3), generator=generator)
    hinted = torch.rand(2, 3, generator=generator) < 0.5
    q = rollout(0.1, 2, 3, 1, cells=cells, hinted=hinted).hint(log_q, tokens).exp()
    for b, i in itertools.product(range(2), range(3)):
        inside = (cells[b] == cells[b, tokens[b, i]]) | ~hinted[b, i]
        joint = log_q[b, i].exp() * inside
        torch.testing.assert_close(q[b, i], joint / joint.sum())


def test_hints_are_drawn_as_often_as_asked_and_their_cells_partition_the_vocabulary() -> None:
    words = random(40, 4, seed=1)
    config = TrainConfig(rollout_rate=1.0, hint_rate=0.25, rollout_gap=0.2)
    drawn = draw_rollout(words, 4000, 6, config, torch.Generator().manual_seed(0))
    assert abs(float(drawn.hinted.any(-1).float().mean()) - 0.25) < 0.04  # a share of 0 is rare
    assert abs(float(drawn.hinted.all(-1).float().mean()) - 0.125 - 0.125 / 7) < 0.03
    assert float(drawn.gap.min()) >= 0 and float(drawn.gap.max()) <= 0.2
    sizes = torch.tensor([len(row.unique()) for row in drawn.cells])
    assert int(sizes.min()) >= 1 and int(sizes.max()) <= 24 and float(sizes.float().mean()) > 3
    # like words fall together more often than unlike ones
    likeness = torch.nn.functional.normalize(words, dim=-1) @ words[0] / words[0].norm()
    together = (drawn.cells[:, :1] == drawn.cells).float().mean(0)
    assert float(torch.corrcoef(torch.stack([likeness[1:], together[1:]]))[0, 1]) > 0.8


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_words_are_picked_with_their_probability(temperature: float) -> None:
    log_p = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    u = (torch.arange(10_000) + 0.5)[None] / 10_000
    words = pick_words(log_p.expand(1, 10_000, 4), u, temperature)
    wanted = (log_p / temperature).softmax(-1)
    found = torch.bincount(words[0], minlength=4) / 10_000
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=0)
