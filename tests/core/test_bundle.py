"""Bundles: what is written comes back; what is missing, broken or foreign is named."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import dlm_core
from dlm_core.bundle import SAMPLING, Model, ModelInfo, embedded_names, locate, save_bundle
from dlm_core.errors import DLMError, MissingError, UsageError
from dlm_core.heads import write_head
from dlm_core.mixing import mix


def test_a_saved_model_loads_with_the_same_predictions(tiny_model: Model, tmp_path: Path) -> None:
    save_bundle(tmp_path, tiny_model.net, tiny_model.vocab, {"note": "a"})
    loaded = Model.load(str(tmp_path))
    x = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0))
    t, lengths = torch.tensor([0.2, 0.9]), torch.tensor([6, 4])
    for a, b in ((tiny_model, loaded),):
        assert torch.equal(
            a.net.predict(x, t, lengths).x_0_hat, b.net.predict(x, t, lengths).x_0_hat
        )
    assert loaded.info.config == tiny_model.info.config
    assert loaded.info.provenance == {"note": "a"}
    assert loaded.info.sha256 == tiny_model.info.sha256
    assert torch.equal(loaded.net.length_counts, tiny_model.net.length_counts)


def test_counts_of_lengths_are_kept_exactly(
    make_model: Callable[..., Model], tmp_path: Path
) -> None:
    model = make_model()
    model.net.length_counts[5] = 70_001.0  # more than fp16 can hold
    save_bundle(tmp_path, model.net, model.vocab)
    assert float(Model.load(str(tmp_path)).net.length_counts[5]) == 70_001.0


def test_a_mix_lies_between_its_parts(make_model: Callable[..., Model]) -> None:
    first, second = make_model(seed=0), make_model(seed=1)
    mixed = mix(first, second, 0.25)
    for name, value in mixed.net.state_dict().items():
        parts = first.net.state_dict()[name], second.net.state_dict()[name]
        torch.testing.assert_close(value, 0.75 * parts[0] + 0.25 * parts[1])
    assert mixed.info.provenance["mix"]["second"] == second.info.sha256
    assert torch.equal(mix(first, second, 1.0).net.rounding_bias, second.net.rounding_bias)


def test_models_that_do_not_match_are_not_mixed(make_model: Callable[..., Model]) -> None:
    first = make_model()
    with pytest.raises(UsageError, match="share is 1"):
        mix(first, first, 1.5)
    with pytest.raises(UsageError, match="different shapes"):
        mix(first, make_model(hidden=16), 0.5)


def test_the_embedded_model_is_found_by_name() -> None:
    assert "e2e" in embedded_names()
    assert locate("e2e").name == "e2e"


def test_an_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(MissingError, match="model 'e2'") as caught:
        locate("e2")
    assert caught.value.hint == "did you mean 'e2e'?"


def _edit(path: Path, **changes: object) -> None:
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, **changes}))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda p: (p / "config.json").unlink(), "config.json is missing"),
    "config no json": (lambda p: (p / "config.json").write_text("{"), "config.json: "),
    "config a list": (lambda p: (p / "config.json").write_text("[]"), "not of format"),
    "another format": (
        lambda p: _edit(p / "config.json", format="x"),
        "not of format dlm-bundle-1",
    ),
    "no model": (lambda p: _edit(p / "config.json", model=None), "key 'model' is missing"),
    "no tokenizer": (lambda p: (p / "tokenizer.json").unlink(), "cannot read the vocabulary"),
    "no weights": (lambda p: (p / "model.safetensors").unlink(), "model.safetensors is missing"),
    "truncated weights": (
        lambda p: (p / "model.safetensors").write_bytes(
            (p / "model.safetensors").read_bytes()[:500]
        ),
        "broken or truncated",
    ),
    "a pickle": (
        lambda p: torch.save({"a": torch.zeros(1)}, p / "model.safetensors"),
        "broken or truncated",
    ),
}


@pytest.mark.parametrize("case", list(DAMAGE))
def test_a_damaged_bundle_is_named(case: str, tiny_model: Model, tmp_path: Path) -> None:
    damage, message = DAMAGE[case]
    save_bundle(tmp_path, tiny_model.net, tiny_model.vocab)
    damage(tmp_path)
    with pytest.raises(MissingError, match=message) as caught:
        Model.load(str(tmp_path))
    assert str(tmp_path) in caught.value.message


def test_files_that_do_not_belong_together_are_refused(
    tiny_model: Model, tmp_path: Path, make_model: Callable[..., Model]
) -> None:
    save_bundle(tmp_path, tiny_model.net, tiny_model.vocab)
    config = json.loads((tmp_path / "config.json").read_text())["model"]
    _edit(tmp_path / "config.json", model={**config, "vocab_size": 99})
    with pytest.raises(MissingError, match=r"config\.json says 99"):
        ModelInfo.read(str(tmp_path))
    _edit(tmp_path / "config.json", model={**config, "layers": 3})
    with pytest.raises(MissingError, match=r"does not fit config\.json"):
        Model.load(str(tmp_path))


def test_a_broken_bundle_raises_errors_of_ours_only(tiny_model: Model, tmp_path: Path) -> None:
    save_bundle(tmp_path, tiny_model.net, tiny_model.vocab)
    config = json.loads((tmp_path / "config.json").read_text())["model"]
    _edit(tmp_path / "config.json", model={**config, "hiden": 5})
    with pytest.raises(DLMError, match="hiden"):
        ModelInfo.read(str(tmp_path))


def test_every_public_name_can_be_imported() -> None:
    for name in dlm_core.__all__:
        assert getattr(dlm_core, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = dlm_core.nothing


def test_specs_plugins_and_checks_need_no_torch() -> None:
    code = """
import sys
import dlm_core, dlm_controls
from dlm_core.bundle import ModelInfo
from dlm_core.plugins.loading import load_plugins
from dlm_core.control.compose import as_controls
from dlm_core.control.parse import parse_spec
plugins = load_plugins()
term = parse_spec("semantic:food=Japanese@0.5", plugins.controls)
as_controls(term.spec).check(ModelInfo.read("e2e"))
heavy = {"torch", "spacy", "transformers", "accelerate", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_weights_of_eight_bits_are_the_nearest_that_a_row_has(
    make_model: Callable[..., Model], tmp_path: Path
) -> None:
    model = make_model(hidden=128)
    size = {}
    for bits in (8, 16):
        folder = tmp_path / str(bits)
        save_bundle(folder, model.net, model.vocab, bits=bits)
        size[bits] = (folder / "model.safetensors").stat().st_size
    found = Model.load(str(tmp_path / "8")).net.state_dict()
    for name, value in model.net.state_dict().items():
        if value.dim() == 2 and value.shape[1] >= 64 and name != "embedding.weight":
            step = value.abs().amax(1, keepdim=True) / 127
            assert bool(((found[name] - value).abs() <= 0.51 * step + 0.002 * value.abs()).all())
        else:
            assert torch.equal(found[name], value)
    assert size[8] < 0.6 * size[16]


def test_heads_have_the_bits_of_their_model(
    make_model: Callable[..., Model], tmp_path: Path
) -> None:
    model, size = make_model(), {}
    for bits in (8, 16):
        folder = tmp_path / str(bits)
        save_bundle(folder, model.net, model.vocab, {"train": {"bits": bits}}, bits)
        write_head(Model.load(folder), folder / "head", {"a": torch.randn(256, 256)}, {})
        size[bits] = (folder / "head" / "head.safetensors").stat().st_size
    assert size[8] < 0.6 * size[16]


def test_a_model_that_is_saved_keeps_how_its_texts_are_made(
    make_model: Callable[..., Model], tmp_path: Path
) -> None:
    first = make_model().save(tmp_path / "first")
    (first / SAMPLING).write_text('{"free_temperature": 0.5}')
    second = Model.load(first).save(tmp_path / "second")
    assert ModelInfo.read(second).sampling.free_temperature == 0.5
