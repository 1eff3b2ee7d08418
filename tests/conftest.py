"""What the tests share: a tiny vocabulary and model, states with a known q, and the data folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from torch import Tensor

from dlm_core.bundle import Model, save_bundle
from dlm_core.config import ModelConfig
from dlm_core.control.protocol import FunctionControl
from dlm_core.control.state import State
from dlm_core.diffusion.model import DiffusionLM
from dlm_core.diffusion.prediction import Prediction
from dlm_core.guidance.guard import Guard
from dlm_core.vocab import Vocab

OURS = ("PLUGINS", "STRICT_PLUGINS", "MODEL", "SEED", "THREADS", "LOG_LEVEL")
for name in OURS:
    os.environ.pop(f"DLM_{name}", None)
os.environ["DLM_SETTINGS"] = "off"
os.environ["HF_HUB_OFFLINE"] = "1"
torch.set_num_threads(1)  # tiny tensors; and the same order of sums everywhere
settings.register_profile("dlm", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("dlm")

TEXTS = (
    "The Mill is a cheap pub near Burger King .",
    "The Eagle is a French restaurant near The Mill .",
    "The Mill serves Japanese food in the city centre .",
    "A cheap restaurant near the riverside is The Eagle .",
    "The Eagle serves cheap French food .",
    "Burger King is near The Eagle in the riverside area .",
    "The pub is not family - friendly .",
)

MakeModel = Callable[..., Model]
MakeState = Callable[..., State]
MakeGuard = Callable[..., Guard]


@pytest.fixture(scope="session")
def texts() -> tuple[str, ...]:
    """A corpus of seven texts."""
    return TEXTS


@pytest.fixture(scope="session")
def tiny_vocab() -> Vocab:
    """START END UNK PAD and the words of `texts`."""
    return Vocab.build(TEXTS, min_count=0)


@pytest.fixture(scope="session")
def tiny_config(tiny_vocab: Vocab) -> ModelConfig:
    return ModelConfig(
        vocab_size=len(tiny_vocab),
        embedding_dim=8,
        max_len=14,
        train_steps=100,
        hidden=32,
        layers=2,
        heads=2,
    )


@pytest.fixture(scope="session")
def make_model(
    tiny_vocab: Vocab, tiny_config: ModelConfig, tmp_path_factory: pytest.TempPathFactory
) -> MakeModel:
    """A bundle of a random tiny network, written and loaded: `make_model(length_mode="padded")`."""

    def make(seed: int = 0, **changes: object) -> Model:
        config = ModelConfig(**{**tiny_config.model_dump(), **changes})
        torch.manual_seed(seed)
        net = DiffusionLM(config, pad=tiny_vocab.pad, unk=tiny_vocab.unk)
        with torch.no_grad():  # decided predictions: no near ties that rounding errors could flip
            net.denoiser.outputs.weight.mul_(8.0)
            counts = torch.tensor([0.0, 0, 0, 0, 1, 2, 4, 4, 2, 1, 1])[: config.max_len + 1]
            net.length_counts[: len(counts)] = counts
        path = tmp_path_factory.mktemp("bundle")
        save_bundle(path, net, tiny_vocab)
        return Model.load(str(path))

    return make


@pytest.fixture(scope="session")
def tiny_model(make_model: MakeModel) -> Model:
    return make_model()


@pytest.fixture(scope="session")
def padded_model(make_model: MakeModel) -> Model:
    return make_model(length_mode="padded")


@pytest.fixture(scope="session")
def make_state() -> MakeState:
    """A state with a given rounding distribution log q (B, L, V)."""

    def make(log_q: Tensor, x_t: Tensor | None = None, lengths: Tensor | None = None) -> State:
        batch, length, words = log_q.shape
        generator = torch.Generator().manual_seed(5)
        embedding = torch.randn(words, 3, generator=generator, dtype=log_q.dtype)
        x = torch.zeros(batch, length, 3, dtype=log_q.dtype) if x_t is None else x_t
        return State(
            x_t=x,
            t=torch.full((batch,), 0.5),
            alpha_bar=torch.full((batch,), 0.3),
            lengths=torch.full((batch,), length) if lengths is None else lengths,
            embedding=embedding,
            predict=lambda: Prediction(log_q.exp() @ embedding[:, : x.shape[-1]], log_q),
            seeds=tuple(range(batch)),
        )

    return make


@pytest.fixture(scope="session")
def make_guard() -> MakeGuard:
    """A guarded control from a function of the state."""

    def make(
        function: Callable[[State], Tensor],
        weight: float = 1.0,
        multilinear: bool = True,
        scope: str = "sentence",
    ) -> Guard:
        control = FunctionControl(function, multilinear, scope)  # type: ignore[arg-type]
        return Guard(control, weight, "toy:1", "dlm-control-toy 0.1")

    return make


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data that the repository does not carry."""
    value = os.environ.get("DLM_SHARED")
    if not value:
        pytest.skip("DLM_SHARED does not name the folder of the corpora")
    return Path(value)


@pytest.fixture(scope="session")
def embedded_model() -> Model:
    """The model that ships with the package."""
    return Model.load("e2e")


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT and a tokenizer of a few words."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    words = ["the", "mill", "is", "a", "cheap", "pub", "near", "aromi", ".", "eagle", "food"]
    vocab = folder / "vocab.txt"
    vocab.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]) + "\n")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=5 + len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=32, initializer_range=1.0,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    BertTokenizerFast(str(vocab), model_max_length=32).save_pretrained(folder)
    return folder
