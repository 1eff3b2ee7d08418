"""The files of a bundle and of its heads belong together; what is damaged is called so, by name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from dlm_controls.heads.tagger import WordTagger, load_tagger
from dlm_controls.tree.labels import check_label
from dlm_core.bundle import Model, ModelInfo, copy_bundle, read_weights, write_weights
from dlm_core.control.protocol import BuildContext
from dlm_core.errors import DLMError, MissingError
from dlm_core.heads import write_head
from dlm_core.weights import check_sizes, read_header

MakeModel = Callable[..., Model]
LABELS = ["DET", "NOUN", "VERB"]


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def tensors(path: Path, change: Callable[[torch.Tensor], torch.Tensor], stamp: bool = True) -> None:
    """Change the first matrix of a file, whose metadata stay if `stamp`."""
    with safe_open(path, "pt") as stream:
        metadata = stream.metadata()
    found = load_file(path)
    name = next(k for k, v in found.items() if v.ndim == 2)
    found[name] = change(found[name])
    save_file(found, path, metadata if stamp else None)


def put_head(model: Model) -> Path:
    """An untrained tagger as the head of `pos`."""
    folder = model.info.head_path("pos")
    tagger = WordTagger(model.info.config.embedding_dim, len(model.vocab), LABELS, 8, 4, 2)
    config = {"labels": LABELS, "settings": tagger.settings, "figures": {"right": 0.5}}
    write_head(model, folder, tagger.state_dict(), config)
    return folder


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("noise_schedule", "cosine"),
        ("length_mode", "padded"),
        ("sigma_0", 0.5),
        ("heads", 4),
        ("embedding", "free"),
        ("train_steps", 50),
    ],
)
def test_another_configuration_of_the_same_sizes_is_refused(
    make_model: MakeModel, key: str, value: object
) -> None:
    path = make_model().info.path
    config = json.loads((path / "config.json").read_text())["model"]
    assert config[key] != value
    edit(path / "config.json", model={**config, key: value})
    with pytest.raises(MissingError, match="does not belong to the files beside it"):
        Model.load(path)


def test_words_that_change_places_are_refused(make_model: MakeModel) -> None:
    path = make_model().info.path
    data = json.loads((path / "tokenizer.json").read_text())
    words = data["model"]["vocab"]
    first, second = sorted(words, key=words.__getitem__)[5:7]
    words[first], words[second] = words[second], words[first]
    (path / "tokenizer.json").write_text(json.dumps(data))
    with pytest.raises(MissingError, match="does not belong to the files beside it"):
        Model.load(path)


def test_weights_changed_after_they_were_written_are_refused(make_model: MakeModel) -> None:
    path = make_model().info.path
    tensors(path / "model.safetensors", lambda v: v + 0.5)
    with pytest.raises(MissingError, match="not those that were written"):
        Model.load(path)


def test_provenance_may_change_and_copies_load(make_model: MakeModel, tmp_path: Path) -> None:
    model = make_model()
    edit(model.info.path / "config.json", note="of mine")
    copy_bundle(model.info, tmp_path / "copy")
    loaded = Model.load(tmp_path / "copy")
    assert loaded.info.provenance == {"note": "of mine"}
    assert Model.load(loaded.save(tmp_path / "saved")).info.sha256 == model.info.sha256


def test_a_bundle_of_an_earlier_version_loads(make_model: MakeModel) -> None:
    path = make_model().info.path
    tensors(path / "model.safetensors", lambda v: v, stamp=False)
    config = json.loads((path / "config.json").read_text())["model"]
    edit(path / "config.json", model={k: v for k, v in config.items() if k != "dropout"})
    assert Model.load(path).info.config.dropout == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.int(), "numbers of type int32"),
        (lambda v: v.to(torch.complex64), "numbers of type complex64"),
        (lambda v: v.float() + 1e30, "numbers above 65,504"),
        (lambda v: v.double() + 1e300, "numbers that are not finite"),
        (lambda v: v * torch.nan, "numbers that are not finite"),
        (lambda v: v * torch.inf, "numbers that are not finite"),
    ],
)
def test_numbers_that_are_no_weights_are_refused_with_file_and_tensor(
    make_model: MakeModel, change: Callable[[torch.Tensor], torch.Tensor], message: str
) -> None:
    model = make_model()
    head = put_head(model)
    tensors(head / "head.safetensors", change, stamp=False)
    with pytest.raises(MissingError, match=rf"{head}.* is broken: '\w.*' holds {message}"):
        load_tagger(BuildContext(model), "pos")
    path = model.info.path / "model.safetensors"
    tensors(path, change, stamp=False)
    with pytest.raises(MissingError, match=rf"{path} is broken: '\w.*' holds {message}"):
        Model.load(model.info.path)


def test_counts_are_not_negative(make_model: MakeModel) -> None:
    path = make_model().info.path / "model.safetensors"
    found = load_file(path)
    save_file({**found, "length_counts": -found["length_counts"]}, path)
    with pytest.raises(MissingError, match="'length_counts' holds negative"):
        Model.load(path.parent)


def test_weights_far_larger_than_the_configuration_says_are_not_read(
    make_model: MakeModel,
) -> None:
    info = make_model().info
    path = info.path / "model.safetensors"
    check_sizes(path, read_header(path), info.config)
    save_file({**load_file(path), "more": torch.zeros(1_000_000)}, path)
    with pytest.raises(MissingError, match=r"does not fit config\.json: another size"):
        check_sizes(path, read_header(path), info.config)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "endless", "folder"])
def test_what_is_no_file_is_refused_at_once(make_model: MakeModel, name: str, kind: str) -> None:
    model = make_model()
    replace(model.info.path / name, kind)
    with pytest.raises(MissingError, match=name):
        Model.load(model.info.path)


@pytest.mark.parametrize("name", ["config.json", "head.safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "endless", "folder"])
def test_so_is_it_in_a_head(make_model: MakeModel, name: str, kind: str, tmp_path: Path) -> None:
    model = make_model()
    replace(put_head(model) / name, kind)
    with pytest.raises(MissingError, match="pos"):
        load_tagger(BuildContext(model), "pos")
    if kind == "folder":
        return
    with pytest.raises(DLMError, match="cannot write"):
        copy_bundle(model.info, tmp_path / "copy")
    assert not list(tmp_path.iterdir())


def replace(path: Path, kind: str) -> None:
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "endless":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()


def test_a_configuration_is_no_gigabyte(make_model: MakeModel) -> None:
    path = make_model().info.path
    with (path / "config.json").open("r+b") as stream:
        stream.truncate(1 << 40)  # takes no room on the disk
    with pytest.raises(MissingError, match=r"config.json is broken: 1,099,511,627,776 bytes"):
        ModelInfo.read(path)


SIZES = {"hidden": 8, "rank": 4, "time_width": 2}
HEADS: list[tuple[dict[str, Any], str]] = [
    ({"labels": None}, "'labels' is no list"),
    ({"labels": "abc"}, "'labels' is no list"),
    ({"labels": [1, 2, 3]}, "'labels' is no list"),
    ({"labels": []}, "'labels' is no list"),
    ({"labels": ["a", "a", "b"]}, "'labels' is no list of different names"),
    ({"labels": [str(k) for k in range(9_999)]}, "'labels' has 9999 names"),
    ({"settings": None}, "'settings' is missing"),
    ({"settings": {**SIZES, "hidden": 10**12}}, "'settings.hidden' is 1000000000000"),
    ({"settings": {**SIZES, "hidden": -1}}, "'settings.hidden' is -1"),
    ({"settings": {**SIZES, "rank": 4.5}}, "'settings.rank' is 4.5"),
    ({"settings": {**SIZES, "wide": 1}}, "unexpected keyword argument 'wide'"),
    ({"settings": {**SIZES, "hidden": 9}}, "do not fit its config.json"),
]


@pytest.mark.parametrize(("changes", "message"), HEADS, ids=[str(c)[:40] for c, _ in HEADS])
def test_a_broken_head_is_called_broken(
    make_model: MakeModel, changes: dict[str, Any], message: str
) -> None:
    model = make_model()
    folder = put_head(model)
    tensors(folder / "head.safetensors", lambda v: v, stamp=False)  # as of an earlier version
    edit(folder / "config.json", **changes)
    with pytest.raises(MissingError, match="is broken") as caught:
        load_tagger(BuildContext(model), "pos")
    assert str(folder) in caught.value.message and message in caught.value.message


def test_labels_in_another_order_are_refused(make_model: MakeModel) -> None:
    model = make_model()
    folder = put_head(model)
    edit(folder / "config.json", figures={"right": 0.9})  # says nothing about the weights
    assert load_tagger(BuildContext(model), "pos").labels == tuple(LABELS)
    edit(folder / "config.json", labels=LABELS[::-1])
    with pytest.raises(MissingError, match="does not belong to the files beside it"):
        load_tagger(BuildContext(model), "pos")


@pytest.mark.parametrize("labels", [None, 5, [1], [["NP"]]])
def test_labels_of_a_tree_head_are_names(make_model: MakeModel, labels: object) -> None:
    info = make_model().info
    info.head_path("tree").mkdir(parents=True)
    (info.head_path("tree") / "config.json").write_text(json.dumps({"labels": labels}))
    with pytest.raises(MissingError, match="is broken: 'labels' is no list"):
        check_label(info, "tree", "NP", "tree:(NP *)")


def test_what_a_file_belongs_to_is_compared_only_where_it_is_said(tmp_path: Path) -> None:
    path, words = tmp_path / "w.safetensors", {"w": torch.ones(3)}

    def reads(belongs: Sequence[int] | None) -> bool:
        try:
            return read_weights(path, belongs)["w"].tolist() == [1, 1, 1]
        except MissingError:
            return False

    write_weights(path, words)
    assert [reads(x) for x in (None, [1])] == [True, True]
    write_weights(path, words, [1])
    assert [reads(x) for x in (None, [1], [2])] == [True, True, False]
    first = path.read_bytes()
    write_weights(path, words, [1])
    assert path.read_bytes() == first
