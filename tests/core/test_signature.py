"""The signature names what a text depends on: heads, foreign plugins, judges."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import dlm_core as dlm
from dlm_cli.__main__ import main
from dlm_controls import Classify, Keyword, Length, Pos, Semantic, Span, Tree
from dlm_controls.pos import oracle as pos_oracle
from dlm_controls.tree import oracle as tree_oracle
from dlm_core.bundle import Model, read_weights, write_weights
from dlm_core.generation.signature import head_name, helpers

PLUGINS = dlm.load_plugins(chosen=())


@pytest.fixture
def copied(embedded_model: Model, tmp_path: Path) -> Model:
    embedded_model.save(tmp_path / "mine")
    return dlm.load(tmp_path / "mine")


def test_another_head_is_another_signature(copied: Model) -> None:
    def made() -> dlm.Result:
        asked = Semantic(name="The Mill") + Keyword("pub")
        return dlm.generate(copied, asked, sampling={"steps": 2}, plugins=PLUGINS)[0]

    first = made()
    head, writer = [part for part in first.signature.split("|") if part.startswith("head:")]
    assert head == f"head:{head_name(Semantic(name='The Mill'), copied.info)}"
    assert len(head.removeprefix("head:semantic=")) == 8 and writer.startswith("head:writer=")
    path = copied.info.head_path("semantic") / "head.safetensors"
    weights = read_weights(path)
    weights["lexicon"] += 0.01
    write_weights(path, weights)
    second = made()
    assert second.signature != first.signature
    assert second.signature.replace("head:", "", 1).split("|")[0] == first.signature.split("|")[0]
    assert [a == b for a, b in zip(
        first.signature.split("|"), second.signature.split("|"), strict=True
    )].count(False) == 1  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "folder"),
    [
        (Semantic(food="Italian"), "semantic"),
        (Pos("DET"), "pos"),
        (Span(0, 1, "NP"), "tree"),
        (Tree("(S (NP * *) (VP *))"), "tree"),
    ],
)
def test_each_control_names_its_head(
    spec: dlm.ControlSpec, folder: str, embedded_model: Model
) -> None:
    assert spec.head_folder(embedded_model.info) == embedded_model.info.head_path(folder)
    assert head_name(spec, embedded_model.info).startswith(f"{folder}=")


def test_a_classifier_is_its_own_folder(copied: Model, tmp_path: Path) -> None:
    """In the bundle by its name, elsewhere by its folder's; digests tell what lies in it."""
    inside = copied.info.head_path("classify/friendly")
    for folder in (inside, tmp_path / "heads/friendly"):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "head.safetensors").write_bytes(b"weights")
    named = head_name(Classify(name="friendly", label="yes"), copied.info)
    elsewhere = head_name(Classify(name=f"{tmp_path}/heads/friendly", label="yes"), copied.info)
    assert named.split("=")[0] == "classify/friendly" and elsewhere.split("=")[0] == "friendly"
    assert named.split("=")[1] == elsewhere.split("=")[1]
    (inside / "judge.safetensors").write_bytes(b"judge")
    changed = head_name(Classify(name="friendly", label="yes"), copied.info)
    assert changed != named
    assert head_name(Length(5), copied.info) == ""
    shutil.rmtree(copied.info.head_path("pos"))
    assert head_name(Pos("DET"), copied.info) == ""


def test_judges_are_named_where_they_judge(
    embedded_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    controls = Pos("DET") + Span(0, 1, "NP") + Length(5)
    monkeypatch.setenv("DLM_PARSER", "/somewhere/benepar-small")
    parts = helpers(controls, embedded_model.info, PLUGINS, verify=True)
    judges = [part for part in parts if part.startswith("judge:")]
    expected = [pos_oracle.tagger_version(), tree_oracle.parser_version()]
    assert judges == [f"judge:{name}" for name in expected if name]
    if expected[1]:
        assert expected[1].startswith("benepar ") and expected[1].endswith(" benepar-small")
    unjudged = helpers(controls, embedded_model.info, PLUGINS, verify=False)
    assert unjudged == [part for part in parts if not part.startswith("judge:")]


FOREIGN = """
from dlm_core import ControlSpec, Verdict, hookimpl

class Shy(ControlSpec):
    kind = "shy"
    def build(self, context):
        return context.control(lambda state: state.token_log_probs.sum((1, 2)) * 0.0)
    def verify(self, text):
        return Verdict(True)

@hookimpl
def dlm_register_controls(register):
    register(Shy)
"""


def test_a_foreign_plugin_is_named(tiny_model: Model, tmp_path: Path) -> None:
    path = tmp_path / "shy.py"
    path.write_text(FOREIGN)
    plugins = dlm.load_plugins([path], chosen=())
    (result,) = dlm.generate(tiny_model, "shy", sampling={"steps": 2}, plugins=plugins)
    assert f"|plugin:{plugins.origin('control', 'shy')}|c:shy|" in result.signature


def test_a_dry_run_names_head_and_judge(
    embedded_model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "--dry-run", "-c", "semantic:food=Italian", "-c", "pos:DET"]) == 0
    shown = capsys.readouterr().out
    (semantic,) = [line for line in shown.splitlines() if " by dlm" in line and "Italian" in line]
    assert semantic.endswith(f"head: {head_name(Semantic(food='Italian'), embedded_model.info)}")
    assert main(["generate", "--dry-run", "-c", "pos:DET", "--format", "jsonl"]) == 0
    (control,) = json.loads(capsys.readouterr().out)["controls"]
    assert control["head_digest"] == head_name(Pos("DET"), embedded_model.info)
    assert control["judge"] == pos_oracle.tagger_version()
