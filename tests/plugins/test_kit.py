"""The rest of the kit: noised texts, selectors, and `dlm plugins new`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

import dlm_core as dlm
from dlm_cli.__main__ import main
from dlm_core.testing import assert_selector


@pytest.mark.parametrize("padded", [False, True])
def test_noised_texts_are_the_words_without_noise_and_do_not_mix(
    padded: bool, tiny_model: dlm.Model, padded_model: dlm.Model, texts: tuple[str, ...]
) -> None:
    model = padded_model if padded else tiny_model
    clean = dlm.noised(model, texts, 0.0)
    for row, length, text in zip(clean.token_log_probs, clean.lengths, texts, strict=True):
        assert model.vocab.decode(row.argmax(-1)[:length].tolist()) == text
    times = torch.linspace(0.1, 1.0, len(texts))
    together = dlm.noised(model, texts, times, seed=3)
    alone = dlm.noised(model, texts[1:2], times[1:2], seed=4)
    length = int(alone.lengths[0])
    for a, b in ((together.x_t, alone.x_t), (together.token_log_probs, alone.token_log_probs)):
        assert torch.allclose(a[1, :length], b[0], atol=1e-4)
    assert torch.allclose(together.token_log_probs.exp().sum(-1), torch.tensor(1.0), atol=1e-4)
    assert not torch.equal(together.x_t, clean.x_t)


@pytest.mark.parametrize("text", ["", "pub " * 30])
def test_noised_texts_must_fit(text: str, tiny_model: dlm.Model) -> None:
    with pytest.raises(dlm.UsageError, match="expected 1 to 14 words"):
        dlm.noised(tiny_model, [text], 0.5)


class Pick(dlm.SelectorSpec):
    """A selector with one fault."""

    kind: ClassVar[str] = "pick"
    fault: str = ""

    def body(self) -> str:
        return "fault=other" if self.fault == "loses" else super().body()

    def scores(self, candidates: Any) -> Any:
        if self.fault == "order":
            return list(range(len(candidates)))
        if self.fault == "random":
            return torch.rand(len(candidates)).tolist()
        if self.fault == "single":
            return [c.seed / (len(candidates) - 1) for c in candidates]
        if self.fault == "few":
            return [1.0]
        return [-float(len(c.tokens)) for c in candidates]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("loses", "does not read as itself|which reads"),
        ("order", "depend on the candidates' order"),
        ("random", "differ from one call to the next"),
        ("single", "ZeroDivisionError"),
        ("few", "returned 1 scores for 5 candidates"),
    ],
)
def test_a_faulty_selector_fails_by_name(fault: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message) as caught:
        assert_selector(Pick(fault=fault))
    assert str(caught.value).startswith("pick:")


@pytest.mark.parametrize("spec", ["none", "control", "mbr:utility=chrf"])
def test_sound_selectors_pass(spec: str) -> None:
    assert_selector(Pick())
    assert_selector(spec)


def test_new_writes_exactly_these_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "new", "in-brief", "--out", str(tmp_path)]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == {
        "README.md",
        "pyproject.toml",
        "dlm_control_in_brief.py",
        "tests/test_dlm_control_in_brief.py",
    }
    assert main(["plugins", "new", "in-brief", "--out", str(tmp_path)]) == 2
    assert "File exists" in capsys.readouterr().err


def test_new_takes_the_name_of_the_distribution_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plugins", "new", "dlm-control-in-brief", "--out", str(tmp_path)]) == 0
    assert Path(capsys.readouterr().out.strip()).name == "dlm-control-in-brief"
    assert main(["plugins", "new", "dlm-control-length", "--out", str(tmp_path)]) == 2
    assert "control 'length' is already provided" in capsys.readouterr().err


BUILTIN = """
from dlm_core import ControlSpec, MissingError, SelectorSpec, hookimpl
class Sure(ControlSpec):
    "Holds already: there is no room for guidance."
    kind = "sure"
    examples = ("sure",)
    def build(self, context):
        return context.control(lambda s: (s.token_log_probs[:, 0].exp()[:, 5:].sum(-1)
            * 1e-3 + 0.95).log() - 1e-4 * s.token_log_probs.exp()[..., 5].sum(-1))
    def verify(self, text):
        import sys
        print("noise")
        raise MissingError("no judge", "pip install judge")
class Headless(Sure):
    "Its head is missing."
    kind = "headless"
    examples = ("headless",)
    def build(self, context):
        return context.head_weights("headless")
class Leaves(SelectorSpec):
    "Leaves."
    kind = "leaves"
    examples = ("leaves",)
    def scores(self, candidates):
        raise SystemExit(0)
@hookimpl
def dlm_register_controls(register):
    register(Sure)
    if HEADLESS: register(Headless)
@hookimpl
def dlm_register_selectors(register):
    if LEAVES: register(Leaves)
"""


@pytest.mark.parametrize(
    ("headless", "leaves", "code", "begins"),
    [
        (False, False, 0, ["ok", "ok"]),
        (True, False, 3, ["ok", "ok", "miss"]),
        (True, True, 5, ["ok", "ok", "miss", "FAIL"]),
    ],
)
def test_check_tells_what_is_missing_and_goes_on(
    headless: bool, leaves: bool, code: int, begins: list[str],
    tmp_path: Path, tiny_model: dlm.Model, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / "mine.py"
    path.write_text(f"HEADLESS, LEAVES = {headless}, {leaves}\n" + BUILTIN)
    model = str(tiny_model.info.path)
    assert main(["plugins", "check", str(path), "-m", model]) == code
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if not line.startswith(" ")]
    assert [line.split()[0] for line in lines] == begins, out
    if leaves:
        assert "selector 'leaves'" in lines[-1] and "SystemExit: 0" in lines[-1]


@pytest.mark.slow
def test_check_of_dlm_itself_ends_with_0(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether or not there are a parser, a classifier, a teacher and an encoder."""
    monkeypatch.delenv("DLM_PARSER", raising=False)
    assert main(["plugins", "check", "builtin"]) == 0
    out = capsys.readouterr().out
    told = {line.split(": ")[0] for line in out.splitlines() if line[0] != " "}
    assert {"ok    control length:12", "miss  control classify:friendly=yes"} <= told
    assert not any(line.startswith("FAIL") for line in told)
    assert any(line.startswith("miss  selector lm") for line in told)


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["new", "length"], 2, "control 'length' is already provided by dlm"),
        (["new", "Upper Case"], 2, "'Upper Case' is no name for a control"),
        (["show", "bultin"], 2, "did you mean 'builtin'?"),
        (["check", "./not_there.py"], 3, "no file not_there.py"),
        (["check", "."], 3, "is not the folder of a plugin"),
    ],
)
def test_what_is_refused(
    argv: list[str], code: int, message: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["plugins", *argv]) == code
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_check_of_a_name_that_is_none_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "check", "bultin"]) == 5
    assert "no plugin or module is called 'bultin'; did you mean" in capsys.readouterr().out
