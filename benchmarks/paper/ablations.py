"""A cell of an ablation: a Diffusion-LM trained by a recipe, its free texts, their lm-score."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from benchmarks.paper.cells import Bench
from benchmarks.paper.intervals import mean
from dlm_core.bundle import Model
from dlm_core.config import ModelConfig, SamplingConfig, TrainConfig
from dlm_core.errors import MissingError
from dlm_core.files import write_json, write_text
from dlm_core.generation.generate import generate

SAMPLING = SamplingConfig(steps=100, time_power=1.0, temperature=0.0)
"""Uniform steps, clamped to the nearest word: what the paper's figures are made with."""


def recipe(steps: int, seed: int, model: Mapping[str, Any]) -> TrainConfig:
    """The settings of one run: the paper's objective and free vectors on a small net."""
    shape = {
        "embedding": "free", "readout": "vector", "self_conditioning": False, "hidden": 128,
        "layers": 4, "heads": 4, **model,
    }  # fmt: skip
    return TrainConfig(
        max_steps=steps, seed=seed, warmup_steps=min(200, steps // 10),
        eval_every=steps, save_every=steps, model=ModelConfig(**shape),
    )  # fmt: skip


def toml(config: TrainConfig) -> str:
    """The settings as a file that `dlm train lm --config` reads."""
    data = config.model_dump(mode="json", exclude_unset=True)
    model = data.pop("model")
    lines = [f"{key} = {json.dumps(value)}" for key, value in data.items()]
    lines += ["", "[model]", *(f"{key} = {json.dumps(value)}" for key, value in model.items())]
    return "\n".join(lines) + "\n"


def trained(bench: Bench, name: str, model: Mapping[str, Any]) -> dict[str, Any]:
    """lm-score of free texts of a net of this shape; trained once, kept in the work folder."""
    budget, folder = bench.budget, bench.lab.work / "ablations" / name
    config = recipe(budget.ablation_steps, bench.seed, model)
    kept, settings = folder / "cell.json", toml(config)
    if kept.is_file():
        cell: dict[str, Any] = json.loads(kept.read_text("utf-8"))
        if cell["recipe"] == settings and cell["texts"] == budget.ablation_texts:
            return cell
    bench.lab.say(f"training {name}: {budget.ablation_steps} steps")
    write_text(folder / "recipe.toml", settings)
    data = bench.lab.shared / "data" / "e2e"
    command = [
        sys.executable, "-m", "dlm_cli", "train", "lm", "--force", "--corpus",
        f"e2e:{data / 'train.csv.gz'}", "--valid", f"e2e:{data / 'valid.csv.gz'}", "--config",
        str(folder / "recipe.toml"), "--out", str(folder / "run"),
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise MissingError(f"training {name} failed: {done.stderr.strip().splitlines()[-1]}")
    loaded = Model.load(str(folder / "run"))
    results = generate(loaded, None, budget.ablation_texts, bench.seed, sampling=SAMPLING)
    nll = bench.lab.teacher.nll([r.tokenised for r in results])
    cell = {
        "name": name, "recipe": settings, "texts": budget.ablation_texts,
        "steps": budget.ablation_steps, "lm": mean(nll, share=False),
        "shown": [r.tokenised for r in results[:3]],
    }  # fmt: skip
    write_json(kept, cell, 1)
    return cell
