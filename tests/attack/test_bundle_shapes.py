"""A shape that no memory holds is refused by name, in a bundle and in a training configuration."""

from __future__ import annotations

import pytest

from dlm_core.config import ModelConfig, TrainConfig
from dlm_core.errors import UsageError


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"hidden": 10**9, "heads": 1}, "hidden"),
        ({"layers": 10**6}, "layers"),
        ({"max_len": 10**10}, "max_len"),
        ({"embedding_dim": 10**30}, "embedding_dim"),
        ({"train_steps": 10**18}, "train_steps"),
        ({"vocab_size": 10**9}, "vocab_size"),
        ({"hidden": 65_536, "layers": 1_000}, "weights, not at most"),
        ({"vocab_size": 10_000_000, "embedding_dim": 16_384}, "weights, not at most"),
    ],
)
def test_an_absurd_shape_is_refused_with_its_key(changes: dict[str, int], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        ModelConfig.read(changes, "config.json")
    with pytest.raises(UsageError, match=named):
        TrainConfig.read({"model": changes}, "mine.toml")


@pytest.mark.parametrize("config", [ModelConfig(), ModelConfig.paper(30_522, 768)])
def test_shapes_of_papers_are_taken(config: ModelConfig) -> None:
    assert ModelConfig.read(config.model_dump(), "config.json") == config
