"""The embedded model of everyday English: what it can be asked for, and what its card says."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import ModelCard

import dlm_core as dlm
from dlm_core.errors import DLMError
from dlm_core.locate import EMBEDDED

PLUGINS = dlm.load_plugins(chosen=())
EVERYDAY = EMBEDDED / "everyday"


@pytest.fixture(scope="module")
def model() -> dlm.Model:
    return dlm.load("everyday")


def size(folder: Path) -> float:
    """Megabytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def test_embedded_models_are_small() -> None:
    assert size(EVERYDAY) < 35
    assert size(EMBEDDED) < 60


@pytest.mark.parametrize(
    "spec",
    [
        "keyword:dog,ball",
        "pattern:A ... in the ... .",
        "length:9",
        "infill:left=A man is,right=in the park .",
        "keyword:zyzzyva",  # spelled in pieces
        "avoid:a",
    ],
)
def test_hard_controls_hold(model: dlm.Model, spec: str) -> None:
    results = dlm.generate(model, spec, 3, sampling={"steps": 8, "drafts": 1}, plugins=PLUGINS)
    assert all(result.satisfied for result in results)


def test_sentiment_is_a_label_of_its_own(model: dlm.Model) -> None:
    """Of another corpus; its own net judges, so that more of its texts hold than of the other."""
    sampling = {"steps": 8, "drafts": 1}
    texts = dlm.generate(model, "classify:sentiment=1", 8, sampling=sampling, plugins=PLUGINS)
    other = [dlm.verify(r.text, "classify:sentiment=0", model=model).satisfied for r in texts]
    assert sum(bool(r.satisfied) for r in texts) > sum(map(bool, other))


def test_it_knows_no_restaurants(model: dlm.Model) -> None:
    with pytest.raises(DLMError, match="semantic"):
        dlm.generate(model, "semantic:food=Japanese", plugins=PLUGINS)


def test_its_card_has_licence_figures_and_forty_texts() -> None:
    card = ModelCard.load(EVERYDAY / "README.md")
    assert card.data.license == "mit"
    assert card.data.eval_results
    shown = card.text.split("## 40 texts")[1]
    results = dlm.generate("everyday", n=1, plugins=PLUGINS)
    assert shown.count("\n1. ") == 1 and "\n40. " in shown
    assert results[0].text.split()[0] in shown
