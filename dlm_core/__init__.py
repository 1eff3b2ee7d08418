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
    "BuildContext": "control.protocol",
    "Control": "control.protocol",
    "ControlReport": "results",
    "ControlSpec": "control.compose",
    "Controls": "control.compose",
    "DLMError": "errors",
    "Example": "corpora",
    "GuidanceConfig": "config",
    "LOG_FLOOR": "control.state",
    "Lengths": "control.lengths",
    "MissingError": "errors",
    "Model": "bundle",
    "ModelConfig": "config",
    "ModelInfo": "bundle",
    "Place": "control.verdict",
    "PluginError": "errors",
    "Request": "generation.prepare",
    "Result": "results",
    "SamplingConfig": "config",
    "SelectorSpec": "selection",
    "SpecError": "errors",
    "SpecValueError": "control.spec",
    "State": "control.state",
    "Step": "results",
    "TrainConfig": "config",
    "UnsatisfiableError": "errors",
    "UsageError": "errors",
    "Verdict": "control.verdict",
    "Verified": "results",
    "Vocab": "vocab",
    "did_you_mean": "errors",
    "fit": "training.heads",
    "generate": "generation.generate",
    "generate_batches": "generation.generate",
    "hookimpl": "plugins.hooks",
    "load": "bundle",
    "load_plugins": "plugins.loading",
    "log_any": "control.probability",
    "noised": "training.heads",
    "parse_selector": "selection",
    "parse_spec": "control.parse",
    "select": "selection",
    "train_recipe": "recipes.run",
    "verify": "evaluation.verify",
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
    from dlm_core.control.compose import Controls as Controls
    from dlm_core.control.compose import ControlSpec as ControlSpec
    from dlm_core.control.lengths import Lengths as Lengths
    from dlm_core.control.parse import parse_spec as parse_spec
    from dlm_core.control.probability import log_any as log_any
    from dlm_core.control.protocol import BuildContext as BuildContext
    from dlm_core.control.protocol import Control as Control
    from dlm_core.control.spec import SpecValueError as SpecValueError
    from dlm_core.control.state import LOG_FLOOR as LOG_FLOOR
    from dlm_core.control.state import State as State
    from dlm_core.control.verdict import Place as Place
    from dlm_core.control.verdict import Verdict as Verdict
    from dlm_core.corpora import Example as Example
    from dlm_core.errors import DLMError as DLMError
    from dlm_core.errors import MissingError as MissingError
    from dlm_core.errors import PluginError as PluginError
    from dlm_core.errors import SpecError as SpecError
    from dlm_core.errors import UnsatisfiableError as UnsatisfiableError
    from dlm_core.errors import UsageError as UsageError
    from dlm_core.errors import did_you_mean as did_you_mean
    from dlm_core.evaluation.verify import verify as verify
    from dlm_core.generation.generate import generate as generate
    from dlm_core.generation.generate import generate_batches as generate_batches
    from dlm_core.generation.prepare import Request as Request
    from dlm_core.plugins.hooks import hookimpl as hookimpl
    from dlm_core.plugins.loading import load_plugins as load_plugins
    from dlm_core.recipes.run import train_recipe as train_recipe
    from dlm_core.results import ControlReport as ControlReport
    from dlm_core.results import Result as Result
    from dlm_core.results import Step as Step
    from dlm_core.results import Verified as Verified
    from dlm_core.selection import SelectorSpec as SelectorSpec
    from dlm_core.selection import parse_selector as parse_selector
    from dlm_core.selection import select as select
    from dlm_core.training.heads import fit as fit
    from dlm_core.training.heads import noised as noised
    from dlm_core.vocab import Vocab as Vocab

__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from dlm_core.version import VERSION as VERSION

        return VERSION
    if name not in _HOMES:
        raise AttributeError(f"module 'dlm_core' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"dlm_core.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
