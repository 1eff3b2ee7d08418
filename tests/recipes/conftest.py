"""The tiny recipe, and a run of it that nothing interrupted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import dlm_core as dlm

EXAMPLES = Path(__file__).parents[2] / "examples" / "recipes"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A copy, to be changed."""
    for name in ("tiny.toml", "tiny.jsonl"):
        shutil.copyfile(EXAMPLES / name, tmp_path / name)
    return tmp_path / "tiny.toml"


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run."""
    out = tmp_path_factory.mktemp("recipes") / "whole"
    dlm.train_recipe(EXAMPLES / "tiny.toml", out)
    return out


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to be gone on with."""
    return Path(shutil.copytree(whole, tmp_path / "run"))
