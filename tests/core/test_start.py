"""A training that begins with a bundle of other words: what is shared is kept, and said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from dlm_core.bundle import Model, ModelInfo
from dlm_core.config import ModelConfig
from dlm_core.diffusion.model import DiffusionLM
from dlm_core.errors import UsageError
from dlm_core.training.start import start_from_fitting
from dlm_core.vocab import Vocab

OLD, NEW = "the pub is cheap near a river", "river boats pass the old pub"
SHARED = ("the", "pub", "river")


def made(words: str, seed: int, **changes: Any) -> tuple[DiffusionLM, Vocab]:
    vocab = Vocab.build([words], 0)
    settings = {"hidden": 16, "layers": 2, "heads": 2, "max_len": 8, "embedding_dim": 4}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = DiffusionLM(ModelConfig(**{**settings, **changes}, vocab_size=len(vocab)))
        for tensor in net.parameters():
            torch.nn.init.normal_(tensor)
    return net, vocab


def bundle(words: str, **changes: Any) -> Model:
    net, vocab = made(words, 0, **changes)
    return Model(ModelInfo(Path("old"), net.config, vocab, name="old"), net)


@pytest.mark.parametrize(
    "changes", [{}, {"readout": "vector", "embedding": "free"}, {"denoiser": "unet", "layers": 1}]
)
def test_a_shared_word_keeps_what_the_model_makes_of_it(changes: dict[str, Any]) -> None:
    old = bundle(OLD, **changes)
    net, vocab = made(NEW, 1, **changes)
    fresh = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    told = start_from_fitting(net, vocab, old)
    assert told.startswith("--init: 7 of 10 words begin with their vectors of old, and 100% of")
    for word in vocab.plain_words:
        before = old.net.embedding.weight[old.vocab.id(word)]
        now = net.embedding.weight[vocab.id(word)]
        wanted = before if word in SHARED else fresh["embedding.weight"][vocab.id(word)]
        assert torch.equal(now, wanted), word
    # a text of shared words is denoised alike: the same logits of the shared words
    net.eval()
    ids = [[v.id(word) for word in SHARED] for v in (old.vocab, vocab)]
    x_t, t, lengths = torch.randn(1, 3, 4), torch.tensor([0.5]), torch.tensor([3])
    outs = []
    for model, own in zip((old.net, net), ids, strict=True):
        with torch.no_grad():
            logits = model.predict(x_t, t, lengths).token_log_probs[..., own]
        outs.append(logits - logits[..., :1])
    assert torch.allclose(*outs, atol=1e-5)


def test_of_another_shape_what_fits_is_taken_and_said() -> None:
    old = bundle(OLD)
    net, vocab = made(NEW, 1, layers=3)
    told = start_from_fitting(net, vocab, old)
    assert "7 of 10 words" in told and "100%" not in told
    ours, theirs = net.state_dict(), old.net.state_dict()
    name = "denoiser.blocks.1.up.weight"
    assert torch.equal(ours[name], theirs[name])


def test_as_many_words_in_another_order_are_told_apart() -> None:
    old = bundle("the pub is cheap")
    net, vocab = made("cheap cheap cheap is is pub the", 1)
    start_from_fitting(net, vocab, old)
    for word in vocab.plain_words:
        rows = (net.embedding.weight[vocab.id(word)], old.net.embedding.weight[old.vocab.id(word)])
        assert torch.equal(*rows), word


def test_pieces_of_one_are_no_words_of_the_other() -> None:
    old = bundle("##a the pub")
    vocab = Vocab.build(["the pub"] * 3 + ["xa ya"], 1, None, 8)
    assert "##a" in vocab.words
    with torch.random.fork_rng():
        net = DiffusionLM(old.info.config.model_copy(update={"vocab_size": len(vocab)}))
    assert f"6 of {len(vocab)} words" in start_from_fitting(net, vocab, old)


def test_where_nothing_fits_it_is_refused() -> None:
    net, vocab = made(NEW, 1, embedding_dim=8, hidden=20, denoiser="unet", layers=1)
    with pytest.raises(UsageError, match="nothing of old fits"):
        start_from_fitting(net, vocab, bundle(OLD))
