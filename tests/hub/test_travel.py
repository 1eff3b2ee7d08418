"""Bundles go to a hub and come back; what a hub refuses, and what is done without one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from dlm_core.bundle import EMBEDDED, ModelInfo
from dlm_core.card import make_card
from dlm_core.errors import MissingError, UsageError
from dlm_core.hub import split_id

E2E = EMBEDDED / "e2e"


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "README.md"
    }


@pytest.fixture
def pushed(hub):
    """The hub has a model."""
    hub.repos["me/mine"] = {}
    hub.commit("me/mine", "main", files(E2E))
    return hub


def test_a_bundle_comes_back_as_it_went(hub, there, tmp_path):
    run = there("models", "push", "e2e", "me/mine")
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(f"{hub.url}/me/mine/commit/")
    assert "model.safetensors" in hub.lfs and "controls/pos/head.safetensors" in hub.lfs
    run = there("models", "pull", "me/mine", "copy")
    assert run.returncode == 0 and run.stdout == "copy\n" and not run.stderr
    assert files(tmp_path / "copy") == files(E2E)
    card = ModelCard.load(tmp_path / "copy/README.md")
    assert card.data.license == "cc-by-sa-4.0" and card.data.library_name == "dlm"
    accuracy = json.loads((E2E / "controls/pos/config.json").read_text())["figures"]["t=0.05"]
    found = {result.metric_name: result.metric_value for result in card.data.eval_results}
    assert found["pos: t=0.05"] == accuracy
    asked = ("generate", "-c", "length:6", "-n", 2, "--steps", 3, "--device", "cpu")
    made = [there(*asked, "-m", name) for name in ("me/mine", "e2e")]
    assert made[0].stdout == made[1].stdout and made[0].stdout


def test_revisions(pushed, there, tmp_path):
    before = pushed.repos["me/mine"]["main"]
    smaller = shutil.copytree(E2E, tmp_path / "smaller")
    shutil.rmtree(smaller / "controls/tree")
    assert there("models", "push", smaller, "me/mine@small").returncode == 0
    assert pushed.repos["me/mine"]["main"] == before
    shown = [there("models", "show", f"me/mine{end}", "--json") for end in ("", "@small")]
    heads = [sorted(json.loads(run.stdout)["controls"]) for run in shown]
    assert heads == [["pos", "semantic", "tree", "writer"], ["pos", "semantic", "writer"]]
    run = there("models", "show", f"me/mine@{before}", "--json")
    assert json.loads(run.stdout)["path"].endswith(before)
    run = there("models", "show", "me/mine@smal")
    assert run.returncode == 3
    assert run.stderr == ("error: 'me/mine' has no revision 'smal'\nhint: did you mean 'small'?\n")


def test_without_a_network_the_cached_revision_is_used_and_told(pushed, there):
    run = there("models", "pull", "me/mine", HF_HUB_OFFLINE="1")
    assert run.returncode == 3
    assert "error: model 'me/mine': HF_HUB_OFFLINE is set, and it is not in the cache" in run.stderr
    commit = pushed.repos["me/mine"]["main"]
    path = there("models", "pull", "me/mine").stdout
    assert path.strip().endswith(commit)
    told = f"; the cached revision {commit[:12]} is used\n"
    run = there("models", "pull", "me/mine", HF_HUB_OFFLINE="1")
    assert run.stdout == path
    assert run.stderr == f"warning: model 'me/mine': HF_HUB_OFFLINE is set{told}"
    run = there("models", "pull", "me/mine", HF_ENDPOINT="http://127.0.0.1:9")
    assert run.stdout == path and "the hub cannot be reached" in run.stderr and told in run.stderr
    pushed.status = 503
    run = there("models", "pull", "me/mine")
    assert run.stdout == path and "(it answered 503)" in run.stderr and told in run.stderr
    assert there("models", "pull", "me/other").returncode == 3


@pytest.mark.parametrize(
    ("argv", "variables", "message", "hint"),
    [
        (["pull", "me/none"], {}, "no model of the hub that you may see", "HF_TOKEN"),
        (["push", "e2e", "me/mine"], {"HF_TOKEN": "wrong"}, "does not let you", "hf auth login"),
        (["push", "e2e", "me/mine"], {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set", ""),
        (["push", "e2", "me/mine"], {}, "model 'e2': no such model", "did you mean 'e2e'?"),
    ],
)  # fmt: skip
def test_what_a_hub_refuses(there, argv, variables, message, hint):
    run = there("models", *argv, **variables)
    assert run.returncode == 3 and not run.stdout
    assert run.stderr.startswith("error: ") and "Traceback" not in run.stderr
    assert message in run.stderr and hint in run.stderr


def test_hidden_models_need_a_token(pushed, there):
    pushed.repos["hidden/mine"] = pushed.repos["me/mine"]
    assert there("models", "pull", "hidden/mine", HF_TOKEN="wrong").returncode == 3
    assert there("models", "pull", "hidden/mine").returncode == 0


def test_hub_ids():
    assert split_id("a/b") == ("a/b", None)
    assert split_id("a/b.c-d@refs/pr/1") == ("a/b.c-d", "refs/pr/1")
    for other in ("e2e", "./a/b", "/a/b", "~/b", "a/b/c", "a/b@", "a//b", "a/b c"):
        assert split_id(other) is None


def test_names_that_are_none(there):
    run = there("models", "pull", "mine")
    assert run.returncode == 2 and "hint: OWNER/NAME or OWNER/NAME@REVISION" in run.stderr
    assert there("models", "pull", "a--b/c").returncode == 2


def report(path: Path, value: float) -> Path:
    figure = {"value": value, "unit": "%", "texts": 20, "low": 80.0, "high": 99.0}
    data = {"figures": {"control semantic": figure, "none": {"value": None, "unit": ""}}}
    path.write_text(json.dumps({**data, "signature": "dlm:0|x"}))
    return path


def test_a_card_has_the_figures_of_reports(bundle_copy, tmp_path):
    path = report(tmp_path / "report.json", 95.0)
    text = make_card(ModelInfo.read(bundle_copy), [path], "E2E, validation")
    head = yaml.safe_load(text.split("---")[1])
    (own,) = (r for r in head["model-index"][0]["results"] if r["dataset"]["type"] == "texts")
    assert own["dataset"]["name"] == "E2E, validation"
    assert own["dataset"]["args"] == {"signature": "dlm:0|x"}
    (metric,) = own["metrics"]
    assert metric["name"] == "control semantic (%)" and metric["value"] == 95.0
    assert metric["args"] == {"texts": 20, "low": 80.0, "high": 99.0}
    body = (bundle_copy / "README.md").read_text().split("---\n", 2)[2]
    assert text.endswith(body)
    # written, it keeps what it had, and takes a new figure in place of the old
    (bundle_copy / "README.md").write_text(text)
    assert make_card(ModelInfo.read(bundle_copy)) == text
    again = make_card(ModelInfo.read(bundle_copy), [report(path, 96.0)], "E2E, validation")
    assert again == text.replace("value: 95.0", "value: 96.0")


def test_a_model_without_a_card_gets_one(bundle_copy):
    (bundle_copy / "README.md").unlink()
    text = make_card(ModelInfo.read(bundle_copy))
    assert ModelCard(text).data.pipeline_tag == "text-generation"
    assert "6 layers × 256" in text and "pos, semantic, tree, writer" in text


def test_cards_that_cannot_be_made(bundle_copy, tmp_path):
    (bundle_copy / "README.md").write_text("---\na: [\n---\n")
    with pytest.raises(UsageError, match=r"README.md: its metadata cannot be read"):
        make_card(ModelInfo.read(bundle_copy))
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(UsageError, match="no report of 'dlm evaluate'"):
        make_card(ModelInfo.read(E2E), [tmp_path / "list.json"])
    with pytest.raises(MissingError):
        make_card(ModelInfo.read(E2E), [tmp_path / "none.json"])


def test_what_ships_is_not_written_into(there):
    run = there("models", "card", "e2e", "--write")
    assert run.returncode == 2 and "hint: dlm models copy e2e my-e2e" in run.stderr
