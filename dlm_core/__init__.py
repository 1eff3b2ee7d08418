"""dlm_core: the Diffusion-LM and the protocols that plugins implement.

    import dlm_core as dlm
    from dlm_controls import Length, Semantic

    model = dlm.load("e2e")
    controls = Semantic(food="Japanese") + 0.5 * Length(12)
    for result in dlm.generate(model, controls, n=4, seed=7):
        print(result.text, result.verdicts, result.seed)

Names are imported on first use, so that `import dlm_core` costs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "BuildContext": "guidance",
    "Control": "guidance",
    "ControlReport": "results",
    "ControlSpec": "spec",
    "Controls": "spec",
    "DLMError": "errors",
    "Example": "corpora",
    "GuidanceConfig": "config",
    "LOG_FLOOR": "guidance",
    "Lengths": "spec",
    "MissingError": "errors",
    "Model": "bundle",
    "ModelConfig": "config",
    "ModelInfo": "bundle",
    "PluginError": "errors",
    "Request": "generation",
    "Result": "results",
    "SamplingConfig": "config",
    "SelectorSpec": "selection",
    "SpecError": "errors",
    "SpecValueError": "spec",
    "State": "guidance",
    "TrainConfig": "config",
    "UnsatisfiableError": "errors",
    "UsageError": "errors",
    "Verdict": "spec",
    "Vocab": "vocab",
    "did_you_mean": "errors",
    "fit": "heads",
    "generate": "generation",
    "generate_batches": "generation",
    "hookimpl": "hookspecs",
    "load": "bundle",
    "load_plugins": "plugins",
    "log_any": "guidance",
    "noised": "heads",
    "parse_selector": "selection",
    "parse_spec": "spec",
    "select": "selection",
    "write_weights": "bundle",
}

if TYPE_CHECKING:
    from dlm_core.bundle import Model as Model
    from dlm_core.bundle import ModelInfo as ModelInfo
    from dlm_core.bundle import load as load
    from dlm_core.bundle import write_weights as write_weights
    from dlm_core.config import GuidanceConfig as GuidanceConfig
    from dlm_core.config import ModelConfig as ModelConfig
    from dlm_core.config import SamplingConfig as SamplingConfig
    from dlm_core.config import TrainConfig as TrainConfig
    from dlm_core.corpora import Example as Example
    from dlm_core.errors import DLMError as DLMError
    from dlm_core.errors import MissingError as MissingError
    from dlm_core.errors import PluginError as PluginError
    from dlm_core.errors import SpecError as SpecError
    from dlm_core.errors import UnsatisfiableError as UnsatisfiableError
    from dlm_core.errors import UsageError as UsageError
    from dlm_core.errors import did_you_mean as did_you_mean
    from dlm_core.generation import Request as Request
    from dlm_core.generation import generate as generate
    from dlm_core.generation import generate_batches as generate_batches
    from dlm_core.guidance import LOG_FLOOR as LOG_FLOOR
    from dlm_core.guidance import BuildContext as BuildContext
    from dlm_core.guidance import Control as Control
    from dlm_core.guidance import State as State
    from dlm_core.guidance import log_any as log_any
    from dlm_core.heads import fit as fit
    from dlm_core.heads import noised as noised
    from dlm_core.hookspecs import hookimpl as hookimpl
    from dlm_core.plugins import load_plugins as load_plugins
    from dlm_core.results import ControlReport as ControlReport
    from dlm_core.results import Result as Result
    from dlm_core.selection import SelectorSpec as SelectorSpec
    from dlm_core.selection import parse_selector as parse_selector
    from dlm_core.selection import select as select
    from dlm_core.spec import Controls as Controls
    from dlm_core.spec import ControlSpec as ControlSpec
    from dlm_core.spec import Lengths as Lengths
    from dlm_core.spec import SpecValueError as SpecValueError
    from dlm_core.spec import Verdict as Verdict
    from dlm_core.spec import parse_spec as parse_spec
    from dlm_core.vocab import Vocab as Vocab

__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from dlm_core.version import VERSION

        return VERSION
    if name not in _HOMES:
        raise AttributeError(f"module 'dlm_core' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"dlm_core.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
