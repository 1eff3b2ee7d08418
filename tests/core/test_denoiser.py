"""Every denoiser: what it must not depend on, that all of it learns, and what it starts from."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel

from dlm_controls import Length
from dlm_core.bundle import Model
from dlm_core.config import ModelConfig, TrainConfig
from dlm_core.diffusion.denoisers.base import ROWS, Denoiser
from dlm_core.diffusion.denoisers.bert import Bert, start_from_bert
from dlm_core.diffusion.denoisers.make import DENOISERS, make_denoiser
from dlm_core.diffusion.denoisers.transformer import attention
from dlm_core.diffusion.model import DiffusionLM
from dlm_core.errors import MissingError, UsageError
from dlm_core.generation.generate import generate

SHAPE: dict[str, Any] = {"vocab_size": 30, "hidden": 16, "layers": 1, "heads": 2}
SHAPE |= {"max_len": 24, "embedding_dim": 4}
KINDS = pytest.mark.parametrize("kind", list(DENOISERS))


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def small(kind: str, **changes: Any) -> Denoiser:
    torch.manual_seed(0)
    return make_denoiser(ModelConfig(**{**SHAPE, "denoiser": kind, **changes})).eval()


@KINDS
def test_a_large_batch_of_mixed_lengths_equals_each_text_alone(kind: str) -> None:
    denoiser = small(kind)
    rows = 2 * ROWS + 5
    lengths = torch.randint(1, 25, (rows,), generator=torch.Generator().manual_seed(1))
    assert len(lengths.unique()) > 10
    x, prev, t = random(rows, 24, 4, seed=2), random(rows, 24, 4, seed=3), torch.rand(rows)
    with torch.no_grad():
        together = denoiser.denoise(x, t, lengths, prev)
        for i in range(rows):
            n = int(lengths[i])
            one = slice(i, i + 1)
            alone = denoiser.denoise(x[one, :n], t[one], lengths[one], prev[one, :n])
            torch.testing.assert_close(together[i, :n], alone[0], atol=2e-5, rtol=1e-4)


@KINDS
def test_nothing_beyond_the_length_reaches_a_text(kind: str) -> None:
    denoiser = small(kind)
    t, lengths = torch.tensor([0.4, 0.4, 0.4]), torch.tensor([1, 6, 13])
    x = random(3, 16, 8)
    beyond = torch.arange(16) >= lengths[:, None]
    with torch.no_grad():
        first = denoiser(x, t, lengths)
        second = denoiser(x + 100 * random(3, 16, 8, seed=1) * beyond[..., None], t, lengths)
    torch.testing.assert_close(first[~beyond], second[~beyond], atol=1e-6, rtol=1e-5)
    assert bool(first.isfinite().all() and second.isfinite().all())


@KINDS
@pytest.mark.parametrize("length", [1, 2, 3, 7, 16, 24])
def test_shapes_at_any_length(kind: str, length: int) -> None:
    t, lengths = torch.tensor([0.1, 0.9]), torch.tensor([length, (length + 1) // 2])
    for conditioned in (True, False):
        for readout, width in (("words", 30), ("vector", 4)):
            denoiser = small(kind, self_conditioning=conditioned, readout=readout)
            out = denoiser.denoise(random(2, length, 4), t, lengths, None)
            assert out.shape == (2, length, width)


@KINDS
def test_it_sees_the_time_both_ends_every_position_and_its_last_estimate(kind: str) -> None:
    denoiser, n = small(kind), 11
    x, t, lengths = random(1, n, 4), torch.tensor([0.5]), torch.tensor([n])
    before = denoiser.denoise(x, t, lengths, None)
    assert not torch.allclose(before, denoiser.denoise(x, t / 2, lengths, None), atol=1e-4)
    assert not torch.allclose(before, denoiser.denoise(x, t, lengths, x), atol=1e-4)
    longer = denoiser.denoise(torch.cat([x, x], 1), t, 2 * lengths, None)[:, :n]
    assert not torch.allclose(before, longer, atol=1e-4)
    leaf = x.clone().requires_grad_()
    denoiser.denoise(leaf, t, lengths, None)[0, 0].square().sum().backward()
    assert leaf.grad is not None and bool((leaf.grad[0].abs().sum(-1) > 0).all())


@KINDS
def test_every_weight_has_a_gradient(kind: str) -> None:
    torch.manual_seed(0)
    net = DiffusionLM(ModelConfig(**SHAPE, denoiser=kind))  # type: ignore[arg-type]
    tokens, lengths = torch.randint(4, 30, (4, 24)), torch.tensor([24, 20, 9, 5])
    noise = random(4, 24, 4, seed=1), random(4, 24, 4, seed=2)
    losses = net.losses(tokens, lengths, torch.rand(4), noise, self_condition=True)
    (losses.mse + losses.anchor + losses.rounding).sum().backward()
    for name, weight in net.named_parameters():
        # a key's bias moves all scores of a query alike: softmax does not see it
        if not name.endswith("key.bias"):
            assert weight.grad is not None and bool((weight.grad != 0).any()), name
            assert bool(weight.grad.isfinite().all()), name


@pytest.mark.parametrize("mode", ["prior", "padded"])
@pytest.mark.parametrize("kind", ["unet", "bert"])
def test_a_bundle_of_it_generates_under_control(
    kind: str, mode: str, make_model: Callable[..., Model]
) -> None:
    model = make_model(denoiser=kind, length_mode=mode)
    results = generate(model, Length(words=5), n=2, sampling={"steps": 3})
    assert [len(result.tokens) for result in results] == [5, 5]
    again = Model.load(model.info.path)
    assert [r.text for r in generate(again, Length(words=5), n=2, sampling={"steps": 3})] == [
        r.text for r in results
    ]


@pytest.mark.parametrize("kind", ["unet", "bert"])
def test_codes_are_shown_to_a_transformer_only(kind: str) -> None:
    with pytest.raises(UsageError, match=f"denoiser '{kind}' cannot have a writer"):
        DiffusionLM(ModelConfig(**SHAPE, denoiser=kind), codes=5)  # type: ignore[arg-type]


def bert(path: Path, **changes: Any) -> str:
    """A random BERT in a folder, of the shape of `SHAPE` but for its 40 positions."""
    torch.manual_seed(7)
    shape = {"vocab_size": 11, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    shape |= {"intermediate_size": 64, "max_position_embeddings": 40}
    BertModel(BertConfig(**{**shape, **changes})).save_pretrained(path)
    return str(path)


def test_it_encodes_as_the_bert_it_starts_from(tmp_path: Path) -> None:
    denoiser = small("bert")
    assert isinstance(denoiser, Bert)
    start_from_bert(denoiser, bert(tmp_path))
    h = random(2, 9, 16)
    theirs = BertModel.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        expected = theirs(inputs_embeds=h).last_hidden_state
        torch.testing.assert_close(denoiser.bert(inputs_embeds=h).last_hidden_state, expected)


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"num_attention_heads": 4}, "'heads' of", "layers = 1, heads = 4"),
        ({"hidden_size": 32}, "'hidden' of", "hidden = 32, layers = 1"),
        ({"max_position_embeddings": 20}, "has 20 positions, 'max_len' is 24", ""),
        ({"intermediate_size": 48}, "are 48 wide", ""),
    ],
)
def test_a_bert_of_another_shape_is_refused(
    tmp_path: Path, changes: dict[str, int], message: str, hint: str
) -> None:
    with pytest.raises(UsageError, match=message) as error:
        start_from_bert(small("bert"), bert(tmp_path, **changes))
    assert hint in (error.value.hint or "")


def test_what_is_no_bert_is_refused(tmp_path: Path) -> None:
    gpt = GPT2Config(vocab_size=11, n_embd=16, n_layer=1, n_head=2, n_positions=40)
    GPT2LMHeadModel(gpt).save_pretrained(tmp_path / "gpt")
    with pytest.raises(UsageError, match="is a 'gpt2', no 'bert'"):
        start_from_bert(small("bert"), str(tmp_path / "gpt"))
    with pytest.raises(MissingError, match=r"cannot read .*nowhere"):
        start_from_bert(small("bert"), str(tmp_path / "nowhere"))
    (Path(bert(tmp_path / "cut")) / "model.safetensors").write_bytes(b"short")
    with pytest.raises(MissingError, match=r"cannot read .*cut"):
        start_from_bert(small("bert"), str(tmp_path / "cut"))
    with pytest.raises(UsageError, match="the denoiser is no 'bert'"):
        start_from_bert(small("unet"), bert(tmp_path / "bert"))


def test_without_transformers_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingError, match="transformers is not installed") as error:
        small("bert")
    assert error.value.hint == "pip install transformers"
    small("unet")


def test_settings_that_belong_to_another_denoiser_are_refused() -> None:
    with pytest.raises(UsageError, match="bert_checkpoint needs denoiser='bert'"):
        TrainConfig(bert_checkpoint="somewhere")
    with pytest.raises(UsageError, match="'muon' is for matrices"):
        TrainConfig(optimizer="muon", model=ModelConfig(denoiser="unet"))
    with pytest.raises(UsageError, match="denoiser"):
        ModelConfig(denoiser="u-net")  # type: ignore[arg-type]


def test_attention_in_bf16_is_the_attention_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(3, 2, 9, 16, generator=generator) for _ in range(3))
    mask = (torch.arange(9) < torch.tensor([9, 4, 6])[:, None])[:, None, None, :]
    for given in (None, mask):
        exact = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=given)
        half = attention(q.bfloat16(), k.bfloat16(), v.bfloat16(), given, 0.0)
        torch.testing.assert_close(half.float(), exact, atol=0.03, rtol=0.03)
        assert torch.equal(attention(q, k, v, given, 0.0), exact)


def test_evidence_is_counted_by_bayes_rule() -> None:
    """A network that finds all words alike: p(w | x_t) is q(x_t | w) over its sum."""
    config = ModelConfig(**SHAPE, evidence=True, embedding="free", sigma_0=0.2)
    torch.manual_seed(0)
    net = DiffusionLM(config, pad=3, unk=2).eval()
    for parameter in net.denoiser.outputs.parameters():
        torch.nn.init.zeros_(parameter)
    x, t = random(3, 5, 4), torch.tensor([0.003, 0.4, 1.0])
    found = net.predict(x, t, torch.tensor([5, 5, 5])).token_log_probs
    alpha_bar = net.schedule.alpha_bar(t)[:, None, None, None]
    spread = (1 - alpha_bar + alpha_bar * 0.2**2).sqrt()
    q = torch.distributions.Normal(alpha_bar.sqrt() * net.embedding_matrix, spread)
    expected = q.log_prob(x[:, :, None]).sum(-1).log_softmax(-1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    half = net.predict(x, t, torch.tensor([5, 5, 5]), evidence=0.5).token_log_probs
    torch.testing.assert_close(half, (expected / 2).log_softmax(-1), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="readout='words'"):
        ModelConfig(**SHAPE, evidence=True, readout="vector")
