"""`dlm verify` and `dlm.verify`: any text, judged by any controls."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

import dlm_core as dlm
from dlm_controls import Keyword, Length
from dlm_core.bundle import ModelInfo

MILL = "The Mill is a family-friendly pub near Café Rouge."
MR = 'mr:"name[The Mill], eatType[pub], near[Café Rouge], familyFriendly[yes]"'


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch):
    def give(content: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))

    return give


def test_every_control_holds(run_cli) -> None:
    asked = ["-c", MR, "-c", "length:12", "-c", "keyword:family-friendly", "--not", "keyword:cheap"]
    run = run_cli("verify", MILL, *asked, "-c", 'pattern:"The Mill is ... pub near * * ."')
    assert run.code == 0 and not run.err
    assert run.lines[0] == "The Mill is a family - friendly pub near Café Rouge .  (12 words)"
    assert "NO" not in {line.split()[0] for line in run.lines}


def test_what_is_wrong_is_said_by_part_and_in_words(run_cli) -> None:
    text = "The Mill is a cheap pub. It is cheap."
    run = run_cli("verify", text, "-c", 'mr:"name[The Mill], eatType[pub], food[Italian]"')
    assert run.code == 1 and not run.err
    assert "missing: food[Italian]" in run.out and "added: priceRange[cheap]" in run.out
    parts = {line.split()[1]: line.split()[0] for line in run.lines[3:]}
    assert parts == {"said": "NO", "consistent": "yes", "once": "NO", "nothing_added": "NO"}
    assert "67%" in run.lines[2]  # two of three facts


def test_json_has_the_rows_that_evaluate_reads(run_cli, stdin, tmp_path) -> None:
    stdin(f"{MILL}\n\nA pub.\n".encode())
    run = run_cli("verify", "-", "-c", MR, "-c", "length:3-12", "--json")
    first, second = map(json.loads, run.lines)
    assert run.code == 1
    assert (first["text"], first["satisfied"], second["satisfied"]) == (MILL, True, False)
    assert [c["satisfied"] for c in second["controls"]] == [False, True]
    assert second["controls"][0]["score"] == pytest.approx(1 / 4)
    rows = tmp_path / "rows.jsonl"
    rows.write_text(run.out, encoding="utf-8")
    measured = run_cli("evaluate", rows, "-o", tmp_path / "report.json")
    assert measured.code == 0 and "warning" not in measured.err
    figures = json.loads((tmp_path / "report.json").read_text())["figures"]
    assert figures["mr"]["value"] == 50 and figures["length"]["value"] == 100


def test_generated_texts_are_judged_as_they_were(make, run_cli, tiny_model) -> None:
    asked = ["-c", "length:5", "-c", "keyword:pub", "--not", "keyword:cheap"]
    for line in make(*asked, "-n", 3, "--format", "jsonl").lines:
        row = json.loads(line)
        found = run_cli("verify", row["text"], *asked, "-m", tiny_model.info.path, "--json")
        again = json.loads(found.out)
        assert again["tokens"] == row["tokens"]
        for now, before in zip(again["controls"], row["controls"], strict=True):
            assert now == before | {"log_prob": None}


def test_a_missing_package_ends_with_3_unless_another_control_fails(
    run_cli, keyword_plugin
) -> None:
    asked = ["verify", "A pub.", "--plugin", keyword_plugin, "-c", "word:pub"]
    run = run_cli(*asked, "-c", "length:3")
    assert run.code == 3
    assert "not judged" in run.out and "judge is not installed (pip install judge)" in run.out
    assert run_cli(*asked, "-c", "length:4").code == 1


def test_words_that_the_model_lacks_are_told_and_judged_all_the_same(run_cli) -> None:
    run = run_cli("verify", "It serves Japanse fodd.", "-c", "keyword:Japanse")
    assert run.code == 0
    assert "'Japanse' (did you mean 'Japanese'?), 'fodd'" in run.err
    assert not run_cli("verify", "Japanse.", "-c", "length:2", "-q").err


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["a pub"], 2, "no control"),
        (["", "-c", "length:2"], 2, "the text is empty"),
        ([" \t", "-c", "length:2"], 2, "the text is empty"),
        (["a pub", "-c", "lenth:2"], 2, "did you mean 'length'?"),
        (["a pub", "--not", "length:2"], 2, "has no contrary"),
        (["a pub", "-c", "length:2", "-m", "nowhere/"], 3, "nowhere"),
        (["A", "pub", "-c", "length:2"], 2, "unexpected extra argument"),
    ],
)
def test_bad_input_is_named(run_cli, argv: list[str], code: int, message: str) -> None:
    run = run_cli("verify", *argv)
    assert run.code == code and message in run.err and not run.out


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "no texts in it"), (b" \n\n", "no texts in it"), (b"a\n\xff\n", "line 2: not UTF-8")],
)
def test_bad_stdin_is_named(run_cli, stdin, content: bytes, message: str) -> None:
    stdin(content)
    run = run_cli("verify", "-", "-c", "length:2")
    assert run.code == 2 and "stdin" in run.err and message in run.err


def test_a_file_taken_for_a_text_is_told(run_cli, tmp_path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("A pub.\n")
    assert f"dlm verify - < {path}" in run_cli("verify", path, "-c", "length:1").err


def test_from_python() -> None:
    asked = ["length:3", Keyword("cheap"), 0.5 * Length(3)]
    found = dlm.verify("A pub.", asked)
    assert found.tokens == ["A", "pub", "."] and found.satisfied is False
    assert [control.satisfied for control in found.controls] == [True, False, True]
    assert found.verdicts["length:3"] is True
    assert dlm.verify("A pub .", asked, ModelInfo.read("e2e")).controls == found.controls
    for text, controls in (("", "length:3"), ("A pub.", []), (["A pub."], "length:3")):
        with pytest.raises(dlm.UsageError):
            dlm.verify(text, controls)  # type: ignore[arg-type]


def test_it_needs_no_torch() -> None:
    code = (
        "import sys, dlm_core as dlm\n"
        f"assert dlm.verify({MILL!r}, [{MR!r}, 'length:12']).satisfied\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
