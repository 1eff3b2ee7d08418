"""`dlm generate`: what it writes, where, and that a text depends on its seed alone."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys

import pytest

from dlm_core.bundle import EMBEDDED
from dlm_core.natural import tokenise


def test_text_goes_to_stdout_and_verdicts_to_stderr(make):
    run = make("-n", 3, "-c", "length:7")
    assert run.code == 0
    assert [len(line.split()) for line in run.lines] == [7, 7, 7]
    verdicts, summary = run.err.splitlines()
    assert verdicts == "length:7  3/3 satisfied"
    assert re.fullmatch(r"3 texts in \d+\.\d s; 3 satisfied", summary)


def test_no_verify_says_nothing_of_verdicts(make):
    run = make("-n", 1, "-c", "length:7", "--no-verify")
    assert run.code == 0 and len(run.lines) == 1
    assert re.fullmatch(r"1 text in \d+\.\d s; 1 not judged\n", run.err)


def test_jsonl_holds_everything(make):
    run = make("-n", 2, "-c", "length:5-8@0.5", "--seed", 3, "--format", "jsonl")
    rows = [json.loads(line) for line in run.lines]
    assert [row["seed"] for row in rows] == [3, 4] and run.err.endswith("; 2 satisfied\n")
    for row in rows:
        assert tokenise(row["text"]) == row["tokens"]
        (control,) = row["controls"]
        assert control["spec"] == "length:5-8@0.5" and control["weight"] == 0.5
        assert control["log_prob"] == 0 and control["satisfied"] is True
        assert control["plugin"].startswith("dlm ")
        assert "c:length:5-8@0.5" in row["signature"]
        assert row["signature"].endswith(f"seed:{row['seed']}")


def test_a_text_is_a_function_of_its_seed(make):
    three = make("-n", 3, "--seed", 5).lines
    assert make("-n", 3, "--seed", 5).lines == three
    assert make("-n", 1, "--seed", 6).lines == three[1:2]
    assert make("-n", 3, "--seed", 5, "--batch-size", 1).lines == three


def test_seed_random_is_reported_and_no_seed_is_0(make):
    run = make("-n", 1, "--seed", "random", "--no-verify")
    seed = run.err.splitlines()[0].removeprefix("seed: ")
    assert make("-n", 1, "--seed", seed).lines == run.lines
    assert make("-n", 1).lines == make("-n", 1, "--seed", 0).lines


def test_output_file(make, tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("an old line\n" * 50)
    run = make("-n", 2, "-o", path, "--force")
    assert run.code == 0 and not run.out and "2 texts in " in run.err
    assert f"written to {path}" in run.err
    assert path.read_text() == make("-n", 2).out


def test_a_failed_run_leaves_the_old_output_alone(make, tmp_path):
    old, new = tmp_path / "old.txt", tmp_path / "new.txt"
    old.write_text("precious\n")
    for path in (old, new):
        assert make("-o", path, "--force", "--device", "gpu").code == 2
    assert old.read_text() == "precious\n" and not new.exists()


@pytest.mark.parametrize("place", ["missing/out.txt", "."])
def test_an_unwritable_output_is_told_before_sampling(make, tmp_path, place, monkeypatch):
    monkeypatch.setattr("dlm_core.bundle.Model.load", None)
    run = make("-o", tmp_path / place)
    assert run.code == 2
    assert "option '--output'" in run.err and str(tmp_path / place) in run.err


def test_a_later_failure_keeps_the_results_already_made(make, monkeypatch):
    from dlm_core.generation import generate as generation

    real = generation.generate_batches

    def failing(*args, **kwargs):
        yield next(real(*args, **kwargs))
        raise RuntimeError("out of luck")

    monkeypatch.setattr(generation, "generate_batches", failing)
    run = make("-n", 2, "--batch-size", 1)
    assert run.code == 1 and len(run.lines) == 1
    assert "error: RuntimeError: out of luck" in run.err


def test_ctrl_c_keeps_the_results_already_made(tiny_model):
    # a shell starts background jobs with SIGINT ignored
    start = (
        "import signal, sys; from dlm_cli.__main__ import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler); sys.exit(main())"
    )
    command = [
        sys.executable, "-c", start, "generate", "-m", str(tiny_model.info.path), "-n", "2000",
        "--batch-size", "1", "--format", "jsonl", "--steps", "4",
    ]  # fmt: skip
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    # not communicate(), which forgets what readline() has buffered
    rest = process.stdout.readlines()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    rows = [json.loads(line) for line in [first, *rest]]
    assert [row["seed"] for row in rows] == list(range(len(rows)))
    assert f"stopped: {len(rows)} of 2000 texts are written" in err


@pytest.mark.parametrize("moment", ["write", "flush"])
@pytest.mark.parametrize("selector", [(), ("--select", "none", "--keep", 1)], ids=["all", "chosen"])
def test_ctrl_c_while_a_text_is_written_counts_it(make, monkeypatch, request, moment, selector):
    class Interrupted(io.StringIO):
        def write(self, text: str) -> int:
            if moment == "write":
                signal.raise_signal(signal.SIGINT)
            return super().write(text)

        def flush(self) -> None:
            if moment == "flush" and self.getvalue():
                signal.raise_signal(signal.SIGINT)
            super().flush()

    stream = Interrupted()
    monkeypatch.setattr(sys, "stdout", stream)
    # a shell starts background jobs with SIGINT ignored
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, ours))
    run = make("-n", 5, "--batch-size", 1, *selector)
    assert run.code == 130 and len(stream.getvalue().splitlines()) == 1
    assert run.err == "stopped: 1 of 5 texts are written\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_dry_run_prints_the_resolved_request(make):
    run = make("-c", "length:5-7@0.5", "-c", "infill:left=The pub", "--dry-run", "--seed", 9,
               "--format", "jsonl")  # fmt: skip
    data = json.loads(run.out)
    assert run.code == 0
    assert [c["kind"] for c in data["controls"]] == ["length", "infill"]
    assert data["controls"][0]["fields"] == {"words": 5, "to": 7}
    assert data["controls"][0]["weight"] == 0.5
    assert data["lengths"] == {"low": 5, "high": 7}
    assert (data["n"], data["seed"], data["sampling"]["steps"]) == (4, 9, 4)
    assert data["guidance"]["mode"] == "posterior" and len(data["model"]["sha256"]) == 64


def test_dry_run_tells_a_missing_head(make):
    run = make("-c", "semantic:food=Japanese", "--dry-run")
    assert run.code == 3 and "has no trained head for control 'semantic'" in run.err
    assert "hint: dlm train control semantic" in run.err
    assert make("-c", "semantic:food=Japanese").code == 3


def test_watch_shows_words_on_stderr_only(make):
    run = make("-n", 2, "-c", "length:6", "--watch")
    assert run.code == 0 and len(run.lines) == 2
    assert "step 1/4" in run.err and "step 4/4" in run.err and "  | " in run.err


def test_options_without_effect_are_told(make):
    run = make("-n", 1, "--eta", 0.5, "--fluency", 1, "--no-verify")
    assert run.code == 0
    assert "warning: option '--eta' has no effect without --sampler ddim" in run.err
    assert "warning: option '--fluency' has no effect without --guidance paper or both" in run.err
    assert "warning" not in make("-n", 1, "--eta", 0.5, "--sampler", "ddim", "--no-verify").err
    run = make("-n", 1, "--no-self-conditioning", "--self-conditioning-temperature", 0.5)
    assert "'--self-conditioning-temperature' has no effect without --self-cond" in run.err


def test_paper_guidance_runs(make):
    run = make("-n", 1, "-c", "length:6", "--guidance", "paper", "--guidance-steps", 1)
    assert run.code == 0 and len(run.lines[0].split()) == 6


def test_a_verdict_that_cannot_be_judged_says_once_what_to_install(make, keyword_plugin):
    run = make("-n", 3, "-c", "word:pub", "--plugin", keyword_plugin)
    assert run.code == 0
    assert "word:pub  not judged\n" in run.err
    assert run.err.count("pip install judge") == 1


def test_a_broken_plugin_is_warned_of_once_and_stops_nothing(make, broken_plugin):
    run = make("-n", 1, "--no-verify", "--plugin", broken_plugin)
    assert run.code == 0 and len(run.lines) == 1
    assert run.err.count("warning: plugin 'broken'") == 1 and "hint: " in run.err
    assert "noise on stdout" in run.err and "noise" not in run.out


@pytest.mark.parametrize(
    "spec", ["semantic:food=Japanese", 'pos:"PROPN AUX DET ADJ NOUN ..."'], ids=["semantic", "pos"]
)
def test_trained_controls_of_the_embedded_model(run_cli, spec):
    kind = spec.partition(":")[0]
    if not (EMBEDDED / f"e2e/controls/{kind}/config.json").is_file():
        pytest.skip(f"the embedded model has no trained head for {kind}")
    run = run_cli("generate", "-c", spec, "-n", 2, "--steps", 4, "--format", "jsonl")
    assert run.code == 0, run.err
    for line in run.lines:
        (control,) = json.loads(line)["controls"]
        assert control["spec"] == spec and control["log_prob"] is not None


def test_texts_and_tokens(run_cli):
    argv = ("generate", "-c", "infill:left=The Mill is family - friendly .", "-n", 1, "--steps", 2)
    assert run_cli(*argv).out.startswith("The Mill is family-friendly. ")
    assert run_cli(*argv, "--tokens").out.startswith("The Mill is family - friendly . ")
    row = json.loads(run_cli(*argv, "--format", "jsonl").out)
    assert row["text"].startswith("The Mill is family-friendly.")
    assert row["tokens"][:6] == ["The", "Mill", "is", "family", "-", "friendly"]
