"""fit(): against a closed form; what it promises of steps, modes and draws."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from dlm_core.training.heads import fit


def test_it_finds_the_least_squares_solution() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 3, generator=generator)
    y = x @ torch.tensor([1.0, -2.0, 0.5]) + 0.7 + 0.1 * torch.randn(64, generator=generator)
    solution = torch.linalg.lstsq(torch.cat([x, torch.ones(64, 1)], 1), y).solution
    line = nn.Linear(3, 1)
    seen: list[tuple[int, int, float]] = []

    def loss(step: int) -> Tensor:
        assert step == len(seen) and line.training
        return (line(x)[:, 0] - y).square().mean()

    fit([line], loss, 400, lr=0.05, weight_decay=0.0, on_step=lambda *args: seen.append(args))
    assert not line.training
    found = torch.cat([line.weight[0], line.bias])
    torch.testing.assert_close(found.detach(), solution, atol=1e-3, rtol=1e-3)
    assert [step for step, _, _ in seen] == list(range(1, 401)) and {n for _, n, _ in seen} == {400}
    assert seen[-1][2] == pytest.approx(
        float((torch.cat([x, torch.ones(64, 1)], 1) @ solution - y).square().mean()), abs=1e-4
    )


@pytest.mark.parametrize(("asked", "steps", "warmup"), [(4, 30, 4), (50, 30, 6), (50, 3, 1)])
def test_the_rate_warms_up_and_decays_to_nothing(asked: int, steps: int, warmup: int) -> None:
    """With a constant gradient AdamW's step is the rate itself."""
    module = nn.Linear(1, 1, bias=False)
    values = [module.weight.item()]
    fit(
        [module],
        lambda step: module.weight.sum(),
        steps,
        lr=0.1,
        weight_decay=0.0,
        warmup=asked,
        on_step=lambda *_: values.append(module.weight.item()),
    )
    taken = [a - b for a, b in pairwise(values)]
    expected = [0.1 * min(1.0, (k + 1) / warmup) * (1 - k / steps) for k in range(steps)]
    assert taken == pytest.approx(expected, rel=1e-3)


def test_the_gradient_of_each_module_is_clipped_alone() -> None:
    large, small = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    norms: list[float] = []

    def loss(step: int) -> Tensor:
        return 1e3 * large.weight.sum() + 0.5 * small.weight.sum()

    def after(*_: object) -> None:
        for module in (large, small):
            assert module.weight.grad is not None
            norms.append(float(module.weight.grad.norm()))

    fit([large, small], loss, 1, lr=0.1, on_step=after)
    assert norms == pytest.approx([1.0, 0.5], rel=1e-4)
