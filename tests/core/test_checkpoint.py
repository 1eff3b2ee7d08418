"""A run continues on its own words and texts, whole, whatever interrupts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from dlm_core.bundle import Model
from dlm_core.config import ModelConfig, TrainConfig
from dlm_core.errors import DLMError, UsageError
from dlm_core.training.checkpoint import Checkpoint, only_run
from dlm_core.training.loop import Callbacks, Trainer
from dlm_core.vocab import Vocab

TEXTS = ("The Mill is a pub .", "The pub is cheap .", "A cheap pub near The Mill .") * 4


def make(
    out: Path, texts: tuple[str, ...] = TEXTS, vocab: Vocab | None = None, **changes: object
) -> Trainer:
    vocab = vocab or Vocab.build(TEXTS, 0)
    model = ModelConfig(
        vocab_size=len(vocab), embedding_dim=4, hidden=16, layers=1, heads=2, max_len=12
    )
    settings = {"max_steps": 6, "batch_tokens": 30, "save_every": 2, "eval_every": 3}
    settings |= {"sample_steps": 2, "precision": "fp32", "warmup_steps": 1}
    config = TrainConfig.model_validate({**settings, **changes, "model": model})
    return Trainer(config, vocab, texts, TEXTS[:3], out, names=("text:my.txt", "text:valid.txt"))


def steps(out: Path) -> list[int]:
    rows = (out / "metrics.jsonl").read_text().splitlines()
    return [row["step"] for row in map(json.loads, rows) if "valid_anchor" in row]


def test_a_checkpoint_keeps_the_words_and_names_its_texts(tmp_path: Path) -> None:
    trainer = make(tmp_path)
    trainer.run(stop_after=2)
    saved = Checkpoint.read(trainer.checkpoint_path)
    assert saved.vocabulary.words == trainer.vocab.words and saved.step == 2
    assert saved.corpus["texts"] == len(TEXTS) and saved.corpus["name"] == "text:my.txt"
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".new")] == []


@pytest.mark.parametrize("texts", [("zebra lion .", *TEXTS), TEXTS[::-1], TEXTS[1:]])
def test_another_corpus_is_refused_with_both_named_or_told(
    tmp_path: Path, texts: tuple[str, ...]
) -> None:
    make(tmp_path).run(stop_after=2)
    with pytest.raises(UsageError, match=r"text:my.txt \(\d+ texts, .*text:my.txt \(12 texts, "):
        make(tmp_path, texts).resume()
    again = make(tmp_path, texts)
    (told,) = again.resume(new_data=True)
    assert "going on with text:my.txt" in told and again.step == 2
    assert again.model.length_counts.sum() == len(texts)  # of the new texts


def test_other_words_are_never_taken_for_the_checkpoints(tmp_path: Path) -> None:
    make(tmp_path).run(stop_after=2)
    swapped = Vocab.build(("cheap " * 50, *TEXTS), 0)  # as many words, in another order
    assert len(swapped) == len(Vocab.build(TEXTS, 0))
    with pytest.raises(UsageError, match="words are not the checkpoint's"):
        make(tmp_path, vocab=swapped).resume(new_data=True)


def test_a_longer_run_goes_on_and_says_so(tmp_path: Path) -> None:
    make(tmp_path).run()
    longer = make(tmp_path, max_steps=9)
    (told,) = longer.resume()
    assert "going on to step 9 instead of 6" in told and "stretched" in told
    assert longer.run().step == 9 and steps(tmp_path) == [3, 6, 9]
    with pytest.raises(UsageError, match="'max_steps' is 4 now, but the checkpoint is at step 9"):
        make(tmp_path, max_steps=4).resume()


def test_half_a_line_of_metrics_is_cut_off_and_told(tmp_path: Path) -> None:
    make(tmp_path).run(stop_after=3)
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 5, "loss": 1.0}\n{"step": 6, "lo')
    again = make(tmp_path)
    again.resume()
    told: list[str] = []
    again.run(Callbacks(on_note=told.append))
    assert told == [f"{tmp_path / 'metrics.jsonl'}: half a line at the end was cut off"]
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert all("loss" not in row or row["step"] == 1 for row in rows)  # step 5 is made again
    assert steps(tmp_path) == [3, 6]


def test_a_new_run_forgets_the_metrics_of_another(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 999, "valid_anchor": 1}\n')
    make(tmp_path, max_steps=3).run()
    assert steps(tmp_path) == [3]


def test_a_picture_never_stops_a_run(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    trainer = make(tmp_path)
    told: list[str] = []

    def block(step: int, metrics: dict[str, float]) -> None:
        (tmp_path / "curves.png").mkdir(exist_ok=True)

    assert trainer.run(Callbacks(on_step=block, on_note=told.append)).finished
    assert told and "curves.png is not drawn" in told[0]


def test_two_runs_do_not_write_into_one_folder(tmp_path: Path) -> None:
    trainer = make(tmp_path)
    with only_run(tmp_path), pytest.raises(UsageError, match="another run is writing into"):
        trainer.run()


@pytest.mark.parametrize("step", [1, 3])
def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(
    tmp_path: Path, step: int
) -> None:
    trainer = make(tmp_path)

    def spoil(at: int, metrics: dict[str, float]) -> None:
        if at == step:
            with torch.no_grad():
                trainer.model.embedding.weight.fill_(torch.nan)

    with pytest.raises(DLMError, match="training diverged") as caught:
        trainer.run(Callbacks(on_step=spoil))
    assert caught.value.exit_code == 1 and "lower 'lr'" in (caught.value.hint or "")
    assert not (tmp_path / "model.safetensors").exists()
    if step == 3:
        assert "checkpoint of step 2 is kept" in caught.value.message
        saved = Checkpoint.read(trainer.checkpoint_path)
        assert all(bool(torch.isfinite(v).all()) for v in saved.model.values())
    text = (tmp_path / "metrics.jsonl").read_text() if step == 3 else ""
    assert "NaN" not in text


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
def test_a_full_disk_is_named_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make(tmp_path)
    trainer.run(stop_after=2)
    before = trainer.checkpoint_path.read_bytes()
    real = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        real(path, data[: len(data) // 2])
        return real(Path("/dev/full"), data)  # the error of a disk that is full

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DLMError, match=r"checkpoint: No space left on device.*is whole") as caught:
        trainer.save()
    assert caught.value.exit_code == 1 and "MB are needed" in caught.value.message
    assert trainer.checkpoint_path.read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_files_have_the_modes_of_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        make(tmp_path, max_steps=1).run()
    finally:
        os.umask(old)
    modes = {p.name: p.stat().st_mode & 0o777 for p in tmp_path.iterdir()}
    assert set(modes.values()) == {0o640}, modes


def test_training_leaves_the_callers_random_numbers_alone(tmp_path: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    make(tmp_path).run()
    Model.load(str(tmp_path))
    assert torch.equal(torch.rand(3), expected)


RUN = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_checkpoint import make
trainer = make(Path(sys.argv[1]), max_steps=30, save_every=1, eval_every=15)
if trainer.checkpoint_path.exists():
    trainer.resume()
trainer.run()
"""


def test_killed_at_any_moment_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    program = RUN.format(tests=str(Path(__file__).parent))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = [sys.executable, "-c", program]
    subprocess.run([*command, str(whole)], check=True)
    for wanted in (2, 12, 22):  # killed some time after this step
        process = subprocess.Popen([*command, str(killed)])
        while process.poll() is None:
            if _step(killed) >= wanted:
                process.send_signal(signal.SIGKILL)
                process.wait()
            time.sleep(0.02)
    subprocess.run([*command, str(killed)], check=True)
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    assert not list(killed.glob(".*"))


def _step(folder: Path) -> int:
    path = folder / "checkpoint"
    return Checkpoint.read(path).step if path.exists() else 0
