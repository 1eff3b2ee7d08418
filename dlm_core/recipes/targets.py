"""What controls are tried on: targets that held-out texts meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from dlm_core.calling import expect, plugin_errors, plugin_name
from dlm_core.control.compose import Controls, ControlSpec, as_controls
from dlm_core.control.learning import DrawsTargets
from dlm_core.control.parse import parse_spec
from dlm_core.corpora import Example
from dlm_core.errors import DLMError, MissingError, PluginError

if TYPE_CHECKING:
    from dlm_core.bundle import ModelInfo
    from dlm_core.plugins.registry import Plugins

_TRIES = 20
"""Texts that are looked at for each target."""


@dataclass(frozen=True)
class Target:
    """What is asked, and the text that it was drawn from, if there is one."""

    controls: Controls
    text: str | None = None


def draw_targets(
    cls: type[ControlSpec],
    name: str,
    examples: Sequence[Example],
    info: ModelInfo,
    plugins: Plugins,
    count: int,
    seed: int,
) -> list[Target]:
    """Targets of a kind of control; its own examples where it draws none.

    Args:
        cls: the kind.
        name: of its head, where it has many.
        examples: held-out texts.
        info: the model; what it cannot be asked is passed over.
        plugins: who provides the control.
        count: at most so many.
        seed: decides which texts.

    Raises:
        MissingError: an oracle is missing.
        PluginError: the control broke the protocol.
    """
    if not issubclass(cls, DrawsTargets):
        specs = [parse_spec(source, plugins.controls).spec for source in cls.examples]
        return [Target(c) for spec in specs[:count] if (c := _asked(spec, info)) is not None]
    draws, found = Random(seed), list[Target]()
    fitting = [e for e in examples if info.holds(e.text)]
    subject = plugin_name("control", cls.kind, plugins.origin("control", cls.kind))
    for example in draws.sample(fitting, min(len(fitting), _TRIES * count)):
        with plugin_errors(subject, "draw_target"):
            spec = cls.draw_target(example, draws, name)
            if spec is not None:
                expect(spec, ControlSpec, "a ControlSpec or None")
        if spec is not None and (controls := _asked(spec, info)) is not None:
            found.append(Target(controls, example.text))
        if len(found) == count:
            break
    return found


def _asked(spec: ControlSpec, info: ModelInfo) -> Controls | None:
    """The control, if the model can be asked for it."""
    controls = as_controls(spec)
    try:
        controls.check(info)
    except (MissingError, PluginError):
        raise
    except DLMError:
        return None
    return controls
