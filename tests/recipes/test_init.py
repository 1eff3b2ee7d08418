"""A recipe may begin with a model: its words, its shape, its weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import dlm_core as dlm
from dlm_core.errors import DLMError
from dlm_core.recipes.recipe import read_recipe

LM = """
[data]
corpus = "labelled:tiny.jsonl"

[lm]
init = "{init}"
max_steps = 1
lr = 1e-9
warmup_steps = 1
batch_tokens = 64
eval_every = 1
eval_examples = 2
sample_steps = 1
"""


@pytest.fixture
def asked(recipe: Path):
    def write(init: str, more: str = "") -> Path:
        path = recipe.with_name("more.toml")
        path.write_text(LM.format(init=init) + more)
        return path

    return write


def test_words_shape_and_weights_are_the_models(run: Path, asked, tmp_path: Path) -> None:
    first = dlm.load(run)
    rest = "teacher = false\nwriter = false\nevaluate = false\n"
    path = asked(run.name)  # beside the recipe
    path.write_text(rest + path.read_text() + "\n[controls]\nsemantic = false\npos = false\n")
    dlm.train_recipe(path, tmp_path / "second")
    second = dlm.load(tmp_path / "second")
    assert list(second.vocab.words) == list(first.vocab.words)
    assert second.info.config == first.info.config
    for name, value in first.net.state_dict().items():
        assert torch.allclose(second.net.state_dict()[name], value, atol=1e-3), name


def test_a_key_of_the_shape_may_be_given_and_the_rest_is_the_models(run: Path, asked) -> None:
    lm = read_recipe(asked(run.name, "[lm.model]\ndropout = 0.3\n")).lm
    assert lm.model.dropout == 0.3
    assert lm.model.hidden == dlm.load(run).info.config.hidden


@pytest.mark.parametrize(("init", "message"), [("nowhere", "nowhere"), ('e2e"\nx = "', "key 'x'")])
def test_what_is_no_model_is_told(asked, init: str, message: str) -> None:
    with pytest.raises(DLMError, match=message):
        read_recipe(asked(init))
