"""One line that names everything a text depends on. Light: imports no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from dlm_core.config import BundleSampling, GuidanceConfig, SamplingConfig
from dlm_core.control.compose import Controls, ControlSpec
from dlm_core.control.shown import WRITER
from dlm_core.version import VERSION

if TYPE_CHECKING:
    from dlm_core.bundle import Model, ModelInfo
    from dlm_core.plugins.registry import Plugins


def signature(
    model: Model,
    controls: Controls,
    sampling: SamplingConfig,
    guidance: GuidanceConfig,
    seed: int,
    helpers: Sequence[str] = (),
) -> str:
    """One line that names everything a text depends on; `helpers` as that function gives them."""
    parts = [
        f"dlm:{VERSION}",
        f"model:{model.info.sha256[:8]}",
        f"sampler:{sampling.sampler}",
        f"steps:{sampling.steps}",
    ]
    sampling_rest = sampling.model_dump(exclude={"sampler", "steps"}, exclude_defaults=True)
    parts += [f"{k}:{v}" for k, v in sampling_rest.items()]
    parts += _of_bundle(model.info.sampling, sampling, bool(controls.terms))
    if controls.terms:
        parts.append(f"guidance:{guidance.mode}")
        rest = guidance.model_dump(exclude={"mode"}, exclude_defaults=True)
        parts += [f"{k}:{v}" for k, v in rest.items()]
    parts += helpers
    parts += [f"c:{term}" for term in controls.terms]
    return "|".join([*parts, f"seed:{seed}"])


def _of_bundle(own: BundleSampling, sampling: SamplingConfig, guided: bool) -> list[str]:
    """What the bundle says of sampling and nobody overrides."""
    keys = {"evidence": "evidence", "drafts": "drafts"}
    if not guided:
        keys["temperature"] = "free_temperature"
    usual = BundleSampling()
    return [
        f"{key}:{getattr(own, name)}"
        for key, name in keys.items()
        if getattr(sampling, key) is None and getattr(own, name) != getattr(usual, name)
    ]


def helpers(
    controls: Controls, info: ModelInfo, plugins: Plugins, verify: bool, written: bool = False
) -> list[str]:
    """What the controls bring with them: heads, plugins that are not dlm's own, what judges.

    `written` says that the bundle's writer makes the texts.

    For example `head:semantic=0f3a9b21`, `plugin:dlm-control-x 1.0`, `judge:spacy 3.8.7`.
    """
    specs = [term.spec for term in controls.terms]
    folders = [spec.head_folder(info) for spec in specs]
    folders += [info.head_path(WRITER)] if written else []
    parts = [f"head:{name}" for folder in folders if (name := _named(folder, info))]
    for spec in specs:
        origin = plugins.origins.get(("control", spec.kind))
        if origin is not None and not origin.builtin:
            parts.append(f"plugin:{origin}")
    if verify:
        parts += [f"judge:{judge}" for spec in specs if (judge := spec.judged_by())]
    return list(dict.fromkeys(parts))


def head_name(spec: ControlSpec, info: ModelInfo) -> str:
    """The head that steers a control as `KIND=` and eight hex digits; empty without one."""
    return _named(spec.head_folder(info), info)


def _named(folder: Path, info: ModelInfo) -> str:
    files = sorted([*folder.glob("*.safetensors"), folder / "config.json"])
    files = [path for path in files if path.is_file()]
    if not files:
        return ""
    controls = info.head_path("")
    inside = folder.is_relative_to(controls)
    name = folder.relative_to(controls).as_posix() if inside else folder.name
    states = [path.stat() for path in files]
    return f"{name}={_digest(tuple(files), tuple((s.st_mtime_ns, s.st_size) for s in states))}"


@lru_cache(maxsize=256)
def _digest(files: Iterable[Path], states: tuple[tuple[int, int], ...]) -> str:
    """Of the files as they are in these states."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:8]
