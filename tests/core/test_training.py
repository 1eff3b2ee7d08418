"""Training: exact resumption, signals, the average of the weights, and a loss that falls."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dlm_core.bundle import Model
from dlm_core.config import LossWeights, ModelConfig, TrainConfig
from dlm_core.errors import MissingError, UsageError
from dlm_core.training.checkpoint import Checkpoint
from dlm_core.training.loop import Callbacks, Trainer
from dlm_core.training.optimizers import lr_factor, make_optimizers
from dlm_core.training.parallel import resolve_precision
from dlm_core.vocab import Vocab

MakeTrainer = Callable[..., Trainer]


@pytest.fixture
def make_trainer(
    tmp_path: Path, texts: tuple[str, ...], tiny_vocab: Vocab, tiny_config: ModelConfig
) -> MakeTrainer:
    """A trainer of a tiny model in a folder: `make_trainer("a", max_steps=5)`."""

    def make(folder: str = "run", model: dict[str, Any] | None = None, **changes: Any) -> Trainer:
        settings: dict[str, Any] = {
            "max_steps": 40,
            "batch_tokens": 40,
            "warmup_steps": 5,
            "eval_every": 1000,
            "save_every": 1000,
            "precision": "fp32",
            "sample_steps": 3,
            "lr": 3e-3,
        }
        config = TrainConfig(
            **{**settings, **changes},
            model=ModelConfig(**{**tiny_config.model_dump(), **(model or {})}),
        )
        return Trainer(config, tiny_vocab, texts * 3, texts[3:5], tmp_path / folder)

    return make


def parts(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Everything a run carries from step to step."""
    out = {f"model.{k}": v for k, v in trainer.model.state_dict().items()}
    out |= {f"ema.{k}": v for k, v in trainer.ema.items()}
    for n, optimizer in enumerate(trainer.optimizers):
        for i, state in optimizer.state_dict()["state"].items():
            out |= {f"optimizer{n}.{i}.{k}": v for k, v in state.items()}
    return out | {"history": trainer.times.history, "counts": trainer.times.counts}


def assert_same(a: Trainer, b: Trainer) -> None:
    left, right = parts(a), parts(b)
    assert left.keys() == right.keys()
    for name in left:
        assert torch.equal(left[name], right[name]), name
    assert a.step == b.step


EVERYTHING = {"model": {"dropout": 0.1}, "importance_sampling": True, "objective": "vlb"}


ROLLOUTS = {
    "rollout_rate": 0.5,
    "hint_rate": 0.5,
    "time_power": 0.5,
    "model": {"length_mode": "padded"},
}


UNET = {"model": {"denoiser": "unet", "layers": 1, "hidden": 16, "dropout": 0.1}}
BERT = {"model": {"denoiser": "bert", "dropout": 0.1, "self_conditioning": False}}


@pytest.mark.parametrize("settings", [{}, EVERYTHING, ROLLOUTS, UNET, BERT])
def test_twenty_steps_and_twenty_more_are_forty_bit_for_bit(
    make_trainer: MakeTrainer, settings: dict[str, Any]
) -> None:
    whole = make_trainer("whole", **settings)
    assert whole.run().finished
    first = make_trainer("parts", **settings)
    result = first.run(stop_after=20)
    assert result.step == 20 and not result.finished
    torch.manual_seed(12345)  # a fresh process has another global random state
    second = make_trainer("parts", **settings)
    second.resume()
    assert_same(first, second)
    assert second.run().finished
    assert_same(whole, second)
    start = make_trainer("start", **settings)
    assert not torch.equal(start.model.embedding.weight, whole.model.embedding.weight)


@pytest.mark.parametrize(
    ("denoiser", "dimension"), [("transformer", 256), ("unet", 8), ("bert", 128)]
)
def test_thirty_steps_lower_the_loss(
    make_trainer: MakeTrainer, denoiser: str, dimension: int
) -> None:
    model = {"denoiser": denoiser, "layers": 1, "embedding_dim": dimension}
    trainer = make_trainer(max_steps=30, batch_tokens=400, model=model)
    before = trainer.evaluate()
    trainer.run()
    after = trainer.evaluate()
    assert after["valid_anchor"] < before["valid_anchor"] - 0.5


@pytest.mark.parametrize("embedding", ["unit", "free"])
@pytest.mark.parametrize("dimension", [16, 256])
@pytest.mark.parametrize("learned", [False, True])
def test_vectors_that_are_not_learned_stay_as_they_were_drawn(
    make_trainer: MakeTrainer, learned: bool, dimension: int, embedding: str
) -> None:
    model = {"learned_embedding": learned, "embedding_dim": dimension, "embedding": embedding}
    trainer = make_trainer(max_steps=3, model=model, weight_decay=0.1)
    drawn = trainer.model.embedding_matrix.clone()
    trainer.run()
    assert torch.equal(trainer.model.embedding_matrix, drawn) is not learned
    if not learned:  # a bundle holds halves
        saved = Model.load(trainer.out).net.embedding_matrix
        torch.testing.assert_close(saved, drawn, atol=2e-3, rtol=1e-3)


def test_a_run_begins_with_a_bert_and_resumes_without_it(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    from transformers import BertConfig, BertModel

    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=11, intermediate_size=128, **shape)).save_pretrained(
        tmp_path / "bert"
    )
    settings = {"model": {"denoiser": "bert"}, "bert_checkpoint": str(tmp_path / "bert")}
    trainer = make_trainer(max_steps=2, **settings)
    trainer.start_from_bert(str(tmp_path / "bert"))
    name = "denoiser.bert.encoder.layer.1.output.dense.weight"
    begun = BertModel.from_pretrained(tmp_path / "bert").encoder.layer[1].output.dense.weight
    assert torch.equal(trainer.model.state_dict()[name], begun)
    assert torch.equal(trainer.ema[name], begun)
    trainer.run(stop_after=1)
    (tmp_path / "bert").rename(tmp_path / "gone")
    again = make_trainer(max_steps=2, **settings)
    again.resume()
    assert_same(trainer, again)
    assert again.run().finished


def test_a_checkpoint_of_before_a_setting_existed_resumes(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(max_steps=2)
    trainer.run(stop_after=1)
    saved = Checkpoint.read(trainer.checkpoint_path)
    del saved.config["bert_checkpoint"], saved.config["model"]["denoiser"]
    saved.write(trainer.checkpoint_path)
    again = make_trainer(max_steps=2)
    again.resume()
    assert_same(trainer, again)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_a_checkpoint_that_resumes_exactly(
    make_trainer: MakeTrainer, number: signal.Signals
) -> None:
    whole = make_trainer("whole", max_steps=10)
    whole.run()
    before = signal.getsignal(number)

    def on_step(step: int, metrics: dict[str, float]) -> None:
        if step == 4:
            signal.raise_signal(number)

    interrupted = make_trainer("stopped", max_steps=10)
    result = interrupted.run(Callbacks(on_step=on_step))
    assert result.step == 4 and not result.finished
    assert signal.getsignal(number) is before
    again = make_trainer("stopped", max_steps=10)
    again.resume()
    again.run()
    assert_same(whole, again)


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("lr", {"lr": 1e-2}),
        ("seed", {"seed": 5}),
        ("weights.anchor", {"weights": LossWeights(anchor=0.5)}),
        ("model.dropout", {"model": {"dropout": 0.2}}),
    ],
)
def test_resuming_with_another_setting_is_refused_by_name(
    make_trainer: MakeTrainer, key: str, changes: dict[str, Any]
) -> None:
    make_trainer().run(stop_after=1)
    with pytest.raises(UsageError, match=f"--resume: '{key}' is "):
        make_trainer(**changes).resume()


def test_resuming_nothing_is_refused(make_trainer: MakeTrainer) -> None:
    with pytest.raises(MissingError, match=r"no checkpoint in .*run") as caught:
        make_trainer().resume()
    assert "leave --resume out" in (caught.value.hint or "")


@pytest.mark.parametrize("damage", ["truncated", "changed"])
def test_a_broken_checkpoint_is_refused(make_trainer: MakeTrainer, damage: str) -> None:
    trainer = make_trainer()
    trainer.run(stop_after=1)
    data = bytearray(trainer.checkpoint_path.read_bytes())
    if damage == "truncated":
        data = data[:100]
    else:
        data[len(data) // 2] ^= 1
    trainer.checkpoint_path.write_bytes(data)
    with pytest.raises(MissingError, match="is broken"):
        make_trainer().resume()


def test_the_loss_falls_and_the_words_of_the_corpus_come_out(
    make_trainer: MakeTrainer, texts: tuple[str, ...], tiny_vocab: Vocab
) -> None:
    losses: list[float] = []
    trainer = make_trainer(max_steps=150, lr=1e-2, ema=0.9)
    start = trainer.evaluate()
    result = trainer.run(Callbacks(on_step=lambda step, m: losses.append(m["anchor"])))
    assert sum(losses[-20:]) < 0.6 * sum(losses[:20])
    assert result.metrics["valid_anchor"] < 0.7 * start["valid_anchor"]
    assert result.metrics["valid_mse"] < start["valid_mse"]
    # at the least noise the word is all but given; at pure noise it cannot be known
    assert result.metrics["valid_anchor_t0.05"] < 0.3 < result.metrics["valid_anchor_t1"]


def test_the_finished_run_is_a_bundle_of_the_averaged_weights(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(max_steps=6)
    trainer.run()
    model = Model.load(str(trainer.out))
    for name, value in trainer.ema.items():
        torch.testing.assert_close(
            model.net.state_dict()[name], value, atol=1e-3, rtol=1e-3
        )  # stored as fp16
    assert model.info.provenance["train"]["max_steps"] == 6
    assert not model.net.training
    assert all(not p.requires_grad for p in model.net.parameters())


def test_metrics_are_logged_with_samples_and_curves(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(max_steps=4, eval_every=2)
    trainer.run()
    rows = [json.loads(line) for line in (trainer.out / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in rows if "loss" in r] == [1]
    evaluations = [r for r in rows if "valid_anchor" in r]
    assert [r["step"] for r in evaluations] == [2, 4]
    assert len(evaluations[-1]["samples"]) == 4
    pytest.importorskip("matplotlib")
    assert (trainer.out / "curves.png").stat().st_size > 1000


def test_evaluation_is_the_same_each_time_and_changes_nothing(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    trainer.run(stop_after=2)
    before = {k: v.clone() for k, v in parts(trainer).items()}
    with trainer.ema_weights():
        first, texts = trainer.evaluate(), trainer.samples()
        assert (trainer.evaluate(), trainer.samples()) == (first, texts)
    assert trainer.model.training
    for name, value in parts(trainer).items():
        assert torch.equal(value, before[name]), name


def test_the_average_of_the_weights_follows_its_formula(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(ema=0.15, lr=1e-2)
    name = "denoiser.inputs.weight"
    expected = trainer.ema[name].clone()
    for step in range(4):
        trainer.train_step()
        decay = min(0.15, (1 + step) / (10 + step))  # 0.1, then held at 0.15
        weight = trainer.model.state_dict()[name]
        expected = decay * expected + (1 - decay) * weight
        torch.testing.assert_close(trainer.ema[name], expected)


def test_the_rate_warms_up_and_falls_to_the_end() -> None:
    config = TrainConfig(max_steps=100, warmup_steps=10, final_lr_fraction=0.2)
    factors = [lr_factor(k, config) for k in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[4] == pytest.approx(0.5 * 0.96)
    assert factors[50] == pytest.approx(0.5)
    assert factors[99] == pytest.approx(0.2)
    assert max(factors) == factors[9] == pytest.approx(0.91)


def test_a_step_is_one_adamw_step_on_the_mean_loss(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(warmup_steps=0, clip_norm=1e9, weight_decay=0.01)
    seen: dict[str, Any] = {}
    original = trainer.model.forward

    def forward(*args: Any) -> Any:
        seen["args"] = args
        return original(*args)

    trainer.model.forward = forward  # type: ignore[method-assign]
    start = {k: v.detach().clone() for k, v in trainer.model.named_parameters()}
    metrics = trainer.train_step()
    after = {k: v.detach().clone() for k, v in trainer.model.named_parameters()}
    with torch.no_grad():
        for k, v in trainer.model.named_parameters():
            v.copy_(start[k])
    total, _ = original(*seen["args"])
    assert metrics["loss"] == pytest.approx(float(total.detach().mean()), rel=1e-5)
    names = list(start)
    gradients = torch.autograd.grad(
        total.mean(), [dict(trainer.model.named_parameters())[n] for n in names]
    )
    copies = [nn.Parameter(start[n].clone()) for n in names]
    for copy, gradient in zip(copies, gradients, strict=True):
        copy.grad = gradient
    norm = torch.stack([g.norm() for g in gradients]).norm()
    assert metrics["grad_norm"] == pytest.approx(float(norm), rel=1e-4)
    torch.optim.AdamW(copies, lr=3e-3, betas=(0.9, 0.98), weight_decay=0.01).step()
    for name, copy in zip(names, copies, strict=True):
        torch.testing.assert_close(after[name], copy.detach(), atol=1e-5, rtol=1e-4)


def test_the_gradient_is_clipped(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(clip_norm=1e-3)
    norms: list[float] = []
    step = trainer.optimizers[0].step

    def note(*args: Any) -> Any:
        gradients = [p.grad for p in trainer.model.parameters() if p.grad is not None]
        norms.append(float(torch.stack([g.norm() for g in gradients]).norm()))
        return step(*args)

    monkeypatch.setattr(trainer.optimizers[0], "step", note)
    assert trainer.train_step()["grad_norm"] > 1e-3
    assert norms[0] == pytest.approx(1e-3, rel=1e-2)


def test_the_lengths_of_the_texts_are_counted(
    make_trainer: MakeTrainer, texts: tuple[str, ...]
) -> None:
    counts = make_trainer().model.length_counts
    for n in range(15):
        assert int(counts[n]) == 3 * sum(len(t.split()) == n for t in texts)


def test_texts_that_do_not_fit_are_not_counted(
    make_trainer: MakeTrainer, texts: tuple[str, ...]
) -> None:
    prior = make_trainer(model={"max_len": 9}).model.length_counts
    assert int(prior.sum()) == 3 * sum(len(t.split()) <= 9 for t in texts)
    padded = make_trainer(
        "padded", model={"max_len": 9, "length_mode": "padded"}
    ).model.length_counts
    assert int(padded[7]) == 3 * sum(len(t.split()) >= 7 for t in texts)  # cut to 7 words
    assert int(padded.sum()) == 3 * len(texts)


def test_a_corpus_without_a_text_that_fits_is_refused(make_trainer: MakeTrainer) -> None:
    with pytest.raises(UsageError, match="the corpus: none of 21 texts has 1 to 3 words"):
        make_trainer(model={"max_len": 3})


def test_fixed_embeddings_stay(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(model={"learned_embedding": False})
    before = trainer.model.embedding.weight.detach().clone()
    trainer.run(stop_after=3)
    assert torch.equal(trainer.model.embedding.weight, before)


def test_muon_takes_the_matrices_of_the_blocks_and_adamw_the_rest(
    make_trainer: MakeTrainer,
) -> None:
    trainer = make_trainer(optimizer="muon", lr=1e-3)
    adamw, muon = make_optimizers(trainer.model, trainer.config)
    named = {id(p): n for n, p in trainer.model.named_parameters()}
    blocks = {named[id(p)] for g in muon.param_groups for p in g["params"]}
    rest = {named[id(p)] for g in adamw.param_groups for p in g["params"]}
    assert {n.split(".")[-2] for n in blocks} == {"qkv", "out", "up", "down"} and len(blocks) == 8
    assert blocks.isdisjoint(rest) and blocks | rest == set(named.values())
    before = trainer.model.state_dict()["denoiser.blocks.0.up.weight"].clone()
    trainer.train_step()
    assert not torch.equal(trainer.model.state_dict()["denoiser.blocks.0.up.weight"], before)


def test_fine_tuning_starts_from_the_bundles_weights(make_trainer: MakeTrainer) -> None:
    first = make_trainer("first", max_steps=4)
    first.run()
    bundle = Model.load(str(first.out))
    second = make_trainer("second", max_steps=4, seed=7)
    second.start_from(bundle)
    for name, value in second.model.state_dict().items():
        assert torch.equal(value, bundle.net.state_dict()[name]), name
    assert all(torch.equal(second.ema[n], p) for n, p in second.model.named_parameters())
    second.run()
    assert not torch.equal(second.ema["embedding.weight"], bundle.net.embedding.weight)


def test_fine_tuning_a_model_of_another_shape_is_refused_by_name(make_trainer: MakeTrainer) -> None:
    first = make_trainer("first", max_steps=1)
    first.run()
    other = make_trainer("other", model={"hidden": 8})
    with pytest.raises(UsageError, match="'hidden'"):
        other.start_from(Model.load(str(first.out)))


def test_evaluation_in_bf16_takes_texts_of_mixed_lengths(make_trainer: MakeTrainer) -> None:
    exact = make_trainer("a")
    half = make_trainer("b", precision="bf16")
    half.valid = exact.valid = sorted(exact.valid * 20, key=len)  # more rows than go together
    assert half.evaluate()["valid_anchor"] == pytest.approx(
        exact.evaluate()["valid_anchor"], rel=0.02
    )


@pytest.mark.parametrize(("capable", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_precision_needs_bf16_instructions(
    capable: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": capable})
    assert resolve_precision("auto", "cpu") == expected
    assert resolve_precision("fp32", "cpu") == "fp32"
