"""What a run looks at on its way: losses on texts held out, and texts of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dlm_core.config import TrainConfig
from dlm_core.diffusion.model import DiffusionLM
from dlm_core.diffusion.noise import PerSampleNoise
from dlm_core.diffusion.samplers import ancestral
from dlm_core.training.curves import EVAL_TIMES
from dlm_core.training.data import collate
from dlm_core.vocab import Vocab


@torch.no_grad()
def evaluate(
    model: DiffusionLM,
    valid: Sequence[Sequence[int]],
    config: TrainConfig,
    pad: int,
    device: torch.device,
) -> dict[str, float]:
    """Loss terms on the fixed validation set at fixed times, with the same noise each time."""
    sums: dict[str, float] = {}
    batches = 0
    for start in range(0, len(valid), 64):
        tokens, lengths = collate(valid[start : start + 64], pad)
        tokens, lengths = tokens.to(device), lengths.to(device)
        seeds = range(start, start + len(tokens))
        shape = (config.model.max_len, config.model.embedding_dim)
        noise = PerSampleNoise(seeds, "eval", device)
        first, second = (noise.normal(*shape)[:, : tokens.shape[1]] for _ in range(2))
        batches += len(tokens)
        for time in EVAL_TIMES:
            t = torch.full((len(tokens),), time, device=device)
            with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
                losses = model.losses(
                    tokens,
                    lengths,
                    t,
                    (first, second),
                    self_condition=config.model.self_conditioning,
                )
            for name in ("mse", "anchor"):
                key = f"valid_{name}_t{time:g}"
                sums[key] = sums.get(key, 0.0) + float(getattr(losses, name).sum())
    result = {key: value / batches for key, value in sums.items()}
    for name in ("mse", "anchor"):
        values = [v for k, v in result.items() if k.startswith(f"valid_{name}_")]
        result[f"valid_{name}"] = sum(values) / len(values)
    return result


@torch.no_grad()
def samples(
    model: DiffusionLM, vocab: Vocab, steps: int, device: torch.device, count: int = 4
) -> list[str]:
    """Unconditional texts, always from the same seeds."""
    config = model.config
    noise = PerSampleNoise(range(count), device=device)
    lengths = torch.full((count,), config.max_len, device=device)
    if config.length_mode == "prior":
        draws = torch.Generator().manual_seed(1)
        lengths = torch.multinomial(model.length_counts.cpu(), count, generator=draws).to(device)
    width = int(lengths.max())
    previous: Tensor | None = None

    def randn() -> Tensor:
        return noise.normal(config.max_len, config.embedding_dim)[:, :width]

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        nonlocal previous
        predicted = model.predict(x_t, t, lengths, previous)
        previous = predicted.x_0_hat
        return model.embed(predicted.token_log_probs.argmax(-1))

    times = model.schedule.timesteps(steps)
    x_0 = ancestral(denoise, randn(), times, model.schedule, randn)
    words = model.nearest_word(x_0)
    rows = zip(words.tolist(), lengths.tolist(), strict=True)
    return [vocab.decode(row[:n]) for row, n in rows]
