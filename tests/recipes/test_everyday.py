"""The recipes of everyday English are valid for the corpora that they name."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from dlm_core.config import TextConfig
from dlm_core.corpora import read_corpus
from dlm_core.recipes.recipe import read_recipe

EXAMPLES = Path(__file__).parents[2] / "examples" / "recipes"


@pytest.mark.parametrize(("name", "words"), [("everyday", 10_000), ("everyday-roc", 5_000)])
def test_every_key_of_it_is_known(name: str, words: int) -> None:
    recipe = read_recipe(EXAMPLES / f"{name}.toml")
    assert (recipe.lm.text.case, recipe.lm.text.full_stop) == ("true", True)
    assert recipe.lm.max_words == words
    assert not any(head.cls.kind == "semantic" for head in recipe.heads)


def test_its_corpora_are_read(tmp_path: Path, shared: Path) -> None:
    shutil.copy(EXAMPLES / "everyday.toml", tmp_path)
    for name in ("commongen", "sst2"):
        (tmp_path / name).symlink_to(shared / "data" / name)
    recipe = read_recipe(tmp_path / "everyday.toml")
    assert recipe.lm.text == TextConfig(case="true", full_stop=True)
    assert (recipe.lm.pieces, recipe.lm.min_count) == (1000, 1)
    (sentiment,) = (head for head in recipe.heads if head.name == "sentiment")
    corpora = (recipe.data.corpus, recipe.data.valid, sentiment.corpus)
    files = ("commongen.train.tgt.txt", "commongen.dev.tgt.txt", "sent_train.tsv")
    for corpus, name in zip(corpora, files, strict=True):
        (packed,) = (shared / "data").rglob(f"{name}.gz")
        lines = gzip.decompress(packed.read_bytes()).decode("utf-8").splitlines()
        assert corpus is not None
        assert len(read_corpus(corpus)) == len(lines)
