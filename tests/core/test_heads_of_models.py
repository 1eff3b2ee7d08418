"""A head belongs to the model it was trained for; weights are looked at before they are used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dlm_core.bundle import Model, ModelInfo, copy_bundle, read_weights, write_weights
from dlm_core.control.protocol import BuildContext
from dlm_core.errors import DLMError, MissingError, UsageError
from dlm_core.heads import check_head, stamp, write_head

MakeModel = Callable[..., Model]
CONFIG = {"labels": ["a"], "figures": {"right": 1.0, "unknown": float("nan")}}


def put_head(model: Model, kind: str = "toy", out: Path | None = None) -> Path:
    out = out or model.info.head_path(kind)
    write_head(model, out, {"w": torch.ones(2)}, CONFIG)
    return out


def test_the_digest_is_of_words_vectors_and_noise(make_model: MakeModel) -> None:
    model = make_model()
    assert model.digest == model.info.digest == ModelInfo.read(str(model.info.path)).digest
    others = {make_model(seed=1).digest, make_model(noise_schedule="cosine").digest}
    assert len(others | {model.digest}) == 3
    assert make_model(dropout=0.1).digest == model.digest


def test_a_head_of_another_model_is_refused_with_the_command(make_model: MakeModel) -> None:
    first, second = make_model(), make_model(seed=1)
    put_head(first)
    _, weights = BuildContext(first).head_weights("toy")
    assert weights["w"].tolist() == [1, 1]
    shutil.copytree(first.info.path / "controls", second.info.path / "controls")
    for check in (
        lambda: check_head(second.info, "toy"),
        lambda: BuildContext(second).head_weights("toy"),
    ):
        with pytest.raises(MissingError, match="trained for another model") as caught:
            check()
        wanted = f"dlm train control toy --model {second.info.path} --corpus READER:PATH"
        assert caught.value.hint == wanted


def test_a_head_of_an_earlier_version_goes_on_working(make_model: MakeModel) -> None:
    model = make_model()
    path = put_head(model) / "config.json"
    assert json.loads(path.read_text())["figures"] == {"right": 1.0}  # NaN is no JSON
    path.write_text('{"labels": ["a"]}')
    save_file({"w": torch.ones(2).half()}, path.parent / "head.safetensors")
    assert BuildContext(model).head_weights("toy")[0] == path.parent
    stamp(path.parent, model.digest)
    assert json.loads(path.read_text()) == {"model": model.digest, "labels": ["a"]}


def test_a_head_in_a_folder_of_its_own(make_model: MakeModel, tmp_path: Path) -> None:
    model = make_model()
    folder = put_head(model, out=tmp_path / "my head")
    named = Model.load(str(model.info.path), heads={"toy": folder})
    assert BuildContext(named).head_weights("toy")[0] == folder and named.info.heads == ["toy"]
    with pytest.raises(MissingError, match="has no trained head for control 'toy'"):
        check_head(model.info, "toy")
    with pytest.raises(MissingError, match=f"{tmp_path}: no trained head"):
        check_head(model.info.with_heads({"toy": tmp_path}), "toy")


def test_commands_are_quoted_and_a_model_that_ships_is_copied_first(
    make_model: MakeModel, tmp_path: Path
) -> None:
    place = tmp_path / "my model"
    copy_bundle(make_model().info, place)
    hint = ModelInfo.read(str(place)).train_command("pos")
    assert hint == f"dlm train control pos --model '{place}' --corpus READER:PATH"
    assert ModelInfo.read("e2e").train_command("pos") == (
        "dlm models copy e2e my-e2e; dlm train control pos --model my-e2e --corpus READER:PATH"
    )


def test_a_copy_has_the_heads_and_takes_no_strangers_place(
    make_model: MakeModel, tmp_path: Path
) -> None:
    model = make_model()
    put_head(model)
    copy_bundle(model.info, tmp_path / "copy")
    copied = Model.load(str(tmp_path / "copy"))
    assert copied.info.heads == ["toy"] and copied.digest == model.digest
    assert check_head(copied.info, "toy") == tmp_path / "copy/controls/toy"
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="is no bundle"):
        copy_bundle(model.info, tmp_path / "home")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy", "home"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e6])
def test_weights_that_are_no_numbers_are_never_written(tmp_path: Path, value: float) -> None:
    path = tmp_path / "head.safetensors"
    write_weights(path, {"w": torch.ones(2)})
    before = path.read_bytes()
    with pytest.raises(DLMError, match="'w' holds numbers that are not finite"):
        write_weights(path, {"w": torch.tensor([1.0, value])})
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_weights_that_are_no_numbers_are_never_loaded(make_model: MakeModel) -> None:
    path = make_model().info.path
    tensors = load_file(path / "model.safetensors")
    tensors["embedding.weight"][3, 2] = torch.nan
    save_file(tensors, path / "model.safetensors")
    with pytest.raises(MissingError, match=r"'embedding\.weight' holds numbers"):
        Model.load(str(path))


@pytest.mark.parametrize(
    ("key", "value"), [("hidden", 2_000), ("layers", 900), ("max_len", 60_000)]
)
def test_a_shape_that_the_weights_have_not_is_refused_before_memory_is_taken(
    make_model: MakeModel, key: str, value: int
) -> None:
    path = make_model().info.path
    config = json.loads((path / "config.json").read_text())
    config["model"][key] = value
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(MissingError, match=f"does not fit config.json: another {key}"):
        Model.load(str(path))


def test_what_may_not_be_read_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "head.safetensors"
    write_weights(path, {"w": torch.ones(2)})

    def denied(self: Path) -> bytes:  # tests may run as root, whom nothing is denied
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(MissingError, match=r"cannot read .*head.safetensors: Permission denied"):
        read_weights(path)
