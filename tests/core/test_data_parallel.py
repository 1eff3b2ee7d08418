"""Two processes, as `accelerate launch` starts them, train as one process does."""

from __future__ import annotations

import json
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import json, signal, sys
from pathlib import Path
from dlm_core.config import ModelConfig, TrainConfig
from dlm_core.training.loop import Callbacks, Trainer
from dlm_core.vocab import Vocab

texts, out = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
vocab = Vocab.build(texts, 0)
config = TrainConfig(
    max_steps=8, batch_tokens=50, warmup_steps=1, eval_every=3, save_every=4, precision="fp32",
    sample_steps=2, importance_sampling=True,
    model=ModelConfig(vocab_size=len(vocab), embedding_dim=8, max_len=14, train_steps=2, hidden=32,
                      layers=1, heads=2),
)
rows = []
trainer = Trainer(config, vocab, texts * 3, texts[:2], out)
assert trainer.run(Callbacks(on_step=lambda step, metrics: rows.append(metrics))).finished
rank = trainer.parallel.rank

def stop(step, metrics):  # called in the first process only
    if step == 2:
        signal.raise_signal(signal.SIGTERM)

stopped = Trainer(config, vocab, texts * 3, texts[:2], out / "stopped").run(Callbacks(on_step=stop))
seen = {"world": trainer.parallel.world, "rows": rows, "stopped": stopped.step,
        "sizes": sorted({len(batch) for batch in map(trainer.batches.__getitem__, range(8))}),
        "weight": trainer.model.denoiser.inputs.weight.detach().flatten()[:20].tolist(),
        "history": trainer.times.history.tolist(), "counts": trainer.times.counts.tolist()}
(out / f"seen{rank}.json").write_text(json.dumps(seen))
"""


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one_and_stop_together(
    tmp_path: Path, texts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("accelerate")
    script, corpus = tmp_path / "run.py", tmp_path / "texts.json"
    script.write_text(RUN)
    corpus.write_text(json.dumps(texts))
    monkeypatch.setattr(sys, "argv", [str(script), str(corpus), str(tmp_path / "one")])
    runpy.run_path(str(script), run_name="__main__")

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # `accelerate launch` starts its GPU processes with torch.distributed.run; with --cpu it would
    # start one process only, so this is its command without the GPUs.
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"),
            *("--master_port", str(port), str(script), str(corpus), str(tmp_path / "two")),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    one, two, other = (
        json.loads((tmp_path / name).read_text())
        for name in ("one/seen0.json", "two/seen0.json", "two/seen1.json")
    )
    assert (one["world"], two["world"], other["world"]) == (1, 2, 2)
    assert min(one["sizes"]) == 1  # where one of two processes has nothing to do
    assert len(one["rows"]) == len(two["rows"]) == 8
    for single, double in zip(one["rows"], two["rows"], strict=True):
        assert double == pytest.approx(single, rel=1e-3)
    # both processes hold the weights of the one
    for found in (two, other):
        assert found["weight"] == pytest.approx(one["weight"], rel=1e-3, abs=1e-5)
    # importance sampling saw each sample's loss, at its own time
    assert one["counts"] == two["counts"] == other["counts"] and min(one["counts"]) >= 10
    for a, b in zip(one["history"], two["history"], strict=True):
        assert b == pytest.approx(a, rel=1e-3)
    # a signal to one process stops both after the same step
    assert one["stopped"] == two["stopped"] == other["stopped"] == 2
    assert (tmp_path / "two" / "model.safetensors").is_file()
