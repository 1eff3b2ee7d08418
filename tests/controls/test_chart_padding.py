"""What the chart says of a text does not depend on how wide its batch is."""

from __future__ import annotations

import torch

from dlm_controls.tree.chart import Chart


def test_padding_is_read_nowhere() -> None:
    torch.manual_seed(0)
    chart = Chart(30, ("NP", "VP", "none"), max_len=16).eval()
    starts, ends = torch.triu_indices(6, 6)
    alone = torch.rand(1, 6, 30).softmax(-1)
    wide = torch.cat([alone, 1e3 * torch.randn(1, 7, 30)], dim=1)
    neighbour = torch.rand(1, 13, 30).softmax(-1)
    with torch.no_grad():
        expected = chart(alone, torch.tensor([0.4]), torch.tensor([6]), starts, ends)
        found = chart(
            torch.cat([wide, neighbour]),
            torch.tensor([0.4, 0.4]),
            torch.tensor([6, 13]),
            starts,
            ends,
        )[:1]
        changed = chart(wide, torch.tensor([0.4]), torch.tensor([13]), starts, ends)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(changed, expected, atol=1e-2)  # a longer text is another
