"""The model card, and the figures it is made of."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from huggingface_hub import ModelCard

import dlm_core as dlm
from dlm_core.card import make_card
from dlm_core.corpora import read_corpus
from dlm_core.data_check import hold_out
from dlm_core.evaluation.nll import likelihood
from dlm_core.evaluation.teacher import Teacher

from .conftest import EXAMPLES


def test_the_hub_reads_the_card(whole: Path) -> None:
    card = ModelCard.load(whole / "README.md")
    assert card.data.license == "apache-2.0" and card.data.language == "en"
    assert card.data.tags is not None and "diffusion" in card.data.tags
    assert (EXAMPLES / "tiny.toml").read_text().strip() in card.text
    assert "dlm train all tiny.toml --out whole" in card.text
    for control in ("classify/price", "infill", "keyword", "length"):
        assert f"| `{control}` | 2 targets" in card.text
    assert "`pos` is not there: the recipe leaves the head 'pos' out" in card.text
    assert str(EXAMPLES) not in card.text, "no places of this machine"


def test_its_figures_are_metadata_of_the_hub(whole: Path) -> None:
    found = json.loads((whole / "evaluation.json").read_text())
    card = ModelCard.load(whole / "README.md")
    assert card.data.model_name == "tiny" and card.data.pipeline_tag == "text-generation"
    results = {result.metric_name: result for result in card.data.eval_results or ()}
    expected = {
        "lm-score (nats)": found["free"]["figures"]["lm-score"],
        "nll (nats)": found["bound"]["figures"]["nll"],
        "length: holds (%)": found["controls"]["length"]["figures"]["control"],
    }
    for name, figure in expected.items():
        assert results[name].metric_value == pytest.approx(figure["value"], abs=1e-4)
    assert results["nll (nats)"].dataset_type == "held-out"
    assert "token-nll (nats)" not in results
    assert any(name.startswith("classify/price: ") for name in results), "what training measured"
    assert make_card(dlm.load(whole).info) == str(card), "a push changes nothing"


def test_its_figures_are_those_of_dlm(whole: Path) -> None:
    """Texts made, scored and bounded here, from the bundle and the teacher that lie there."""
    found = json.loads((whole / "evaluation.json").read_text())
    model, teacher = dlm.load(whole), Teacher.load(whole / "teacher")
    results = dlm.generate(model, n=6, sampling={"steps": 2})
    assert [r.text for r in results] == found["free"]["texts"]
    nll = teacher.nll([r.tokenised for r in results])
    score = found["free"]["figures"]["lm-score"]
    assert score["value"] == pytest.approx(sum(nll) / len(nll)) and score["low"] < score["high"]
    real = found["free"]["real"]["lm-score"]["value"]
    assert found["free"]["real"]["unk"]["value"] == 0.0, "min_count = 0 keeps every word"
    ratio = found["free"]["ratio"]["lm-score"]
    assert ratio["value"] == pytest.approx(score["value"] / real)
    assert ratio["low"] < ratio["value"] < ratio["high"]
    examples = read_corpus(f"labelled:{EXAMPLES / 'tiny.jsonl'}")
    _, held_out, _ = hold_out(examples)
    texts = [example.text for example in held_out]
    bound = likelihood(model, Random(0).sample(texts, 4), draws=2)
    assert found["bound"]["figures"]["nll"]["value"] == pytest.approx(bound.nll)
    assert teacher.vocab.words == model.vocab.words
    targets = {name: part.get("targets", []) for name, part in found["controls"].items()}
    for target in targets["classify/price"] + targets["keyword"]:
        assert dlm.parse_spec(target, dlm.load_plugins().controls)
    shown = targets["keyword"][0].partition(":")[2].strip('"').split(",")
    assert any(all(w.strip('"') in text.split() for w in shown) for text in texts)
