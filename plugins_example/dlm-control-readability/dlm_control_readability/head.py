"""The head: log p(level | what is known of the text so far), trained on noised texts.

Shapes: B batch, L positions, V vocabulary, F features, K levels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from dlm_control_readability import LEVELS
from torch import Tensor, nn

from dlm_core import BuildContext, Model, State, fit, noised, write_weights

FEATURES = 8
BATCH = 32


class Head(nn.Module):
    """Features of each word, their mean over the text, and a small network on top.

    Words per sentence and syllables per word are ratios of such means. A word the model is not sure
    of counts with its probability, so that one head serves all levels of noise.
    """

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.features = nn.Parameter(torch.randn(vocab_size, FEATURES) * 0.3)
        self.mix = nn.Sequential(nn.Linear(FEATURES, 32), nn.GELU(), nn.Linear(32, len(LEVELS)))

    def forward(self, state: State) -> Tensor:
        """log p(level), (B, K)."""
        words = state.token_log_probs.exp() @ self.features  # (B, L, F)
        mean = (words * state.mask[..., None]).sum(1) / state.lengths[:, None]  # (B, F)
        return F.log_softmax(self.mix(mean), dim=-1)


def load_head(context: BuildContext) -> Head:
    """The head that `dlm train control readability` stored in the model's folder."""
    _, weights = context.head_weights("readability")
    head = Head(len(context.vocab))
    head.load_state_dict(weights)
    return head.to(context.device).eval().requires_grad_(False)


def train_head(
    model: Model,
    rows: Sequence[tuple[str, int]],
    out: Path,
    *,
    steps: int = 600,
    seed: int = 0,
    on_step: Callable[[int, int, float], None] | None = None,
) -> dict[str, float]:
    """Train on (text, level) at all levels of noise, and write head.safetensors and config.json."""
    torch.manual_seed(seed)
    head = Head(len(model.vocab)).to(model.device)
    order = torch.randperm(len(rows)).tolist()
    held_out, training = order[: len(rows) // 10], order[len(rows) // 10 :]

    def loss(step: int) -> Tensor:
        batch = [rows[training[(step * BATCH + i) % len(training)]] for i in range(BATCH)]
        t = torch.rand(BATCH) if step % 2 else 0.0  # every other batch: the words themselves
        state = noised(model, [text for text, _ in batch], t, seed=step * BATCH)
        return F.nll_loss(head(state), _levels(batch, model))

    fit([head], loss, steps, lr=1e-2, on_step=on_step)
    figures = {f"accuracy t={t}": _accuracy(model, head, rows, held_out, t) for t in (0.0, 0.5)}
    out.mkdir(parents=True, exist_ok=True)
    write_weights(out / "head.safetensors", head.state_dict())
    config = {"levels": LEVELS, "steps": steps, "seed": seed, "figures": figures}
    (out / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    return figures


def _levels(rows: Sequence[tuple[str, int]], model: Model) -> Tensor:
    return torch.tensor([level for _, level in rows], device=model.device)


@torch.no_grad()
def _accuracy(
    model: Model, head: Head, rows: Sequence[tuple[str, int]], held_out: Sequence[int], t: float
) -> float:
    part = [rows[i] for i in held_out[:256]]
    state = noised(model, [text for text, _ in part], t)
    return float((head(state).argmax(-1) == _levels(part, model)).float().mean())
