"""How many texts the figures of a run are of, by the time there is."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlm_core.generation.drafts import WRITTEN
from dlm_core.recipes.temperature import EVIDENCE, MOST, TEMPERATURES

if TYPE_CHECKING:
    from dlm_core.config import ModelConfig
    from dlm_core.plugins.registry import Plugins
    from dlm_core.vocab import Vocab

_TRIED = len(EVIDENCE) * len(TEMPERATURES).bit_length()
"""Settings of the texts without controls that are tried (`set_temperature`)."""
_BOUND = 0.7
"""Cost of a text whose likelihood is bounded, in drafts."""


@dataclass(frozen=True)
class Figures:
    """What `[evaluate]` of a recipe says.

    Attributes:
        texts: without controls.
        targets, each: of a control, and texts a target.
        bound: held-out texts whose likelihood is bounded.
    """

    texts: int
    targets: int
    each: int
    bound: int

    def drafts(self, controls: int) -> float:
        """What they cost."""
        asked = WRITTEN * self.targets * self.each * controls
        return _TRIED * min(MOST, self.texts) + self.texts + asked + _BOUND * self.bound

    @property
    def rough(self) -> bool:
        """Their intervals are wide."""
        return self.texts < 100


LEVELS = (Figures(200, 10, 2, 200), Figures(100, 5, 2, 100), Figures(50, 3, 1, 50))
"""From many texts to few."""


def choose_figures(seconds: float, draft: float, controls: int) -> Figures:
    """Of as many texts as can be made in the time; of the fewest if there is less.

    Args:
        seconds: there are.
        draft: seconds of one.
        controls: that are tried.
    """
    fits = (level for level in LEVELS if level.drafts(controls) * draft <= seconds)
    return next(fits, LEVELS[-1])


def drafted(shape: ModelConfig, vocab: Vocab, plugins: Plugins, texts: int = 16) -> float:
    """Seconds in which a net of this shape makes a draft here, among several at once."""
    from dlm_core.bundle import Model, save_bundle
    from dlm_core.diffusion.model import DiffusionLM
    from dlm_core.generation.generate import generate

    config = shape.model_copy(update={"vocab_size": len(vocab)})
    net = DiffusionLM(config, pad=vocab.pad, unk=vocab.unk)
    net.length_counts[(config.max_len + 1) // 2] = 1  # a text in the middle of what there is
    with tempfile.TemporaryDirectory() as folder:
        save_bundle(Path(folder), net, vocab)
        model = Model.load(folder)
        began = time.perf_counter()
        generate(model, n=texts, verify=False, plugins=plugins)
        return (time.perf_counter() - began) / texts
