"""Which network `ModelConfig.denoiser` names."""

from __future__ import annotations

from dlm_core.config import ModelConfig
from dlm_core.diffusion.denoisers.base import Denoiser
from dlm_core.diffusion.denoisers.bert import Bert
from dlm_core.diffusion.denoisers.shown import ShownDenoiser
from dlm_core.diffusion.denoisers.transformer import TransformerDenoiser
from dlm_core.diffusion.denoisers.unet import UNet

DENOISERS: dict[str, type[TransformerDenoiser] | type[UNet] | type[Bert]] = {
    "transformer": TransformerDenoiser,
    "unet": UNet,
    "bert": Bert,
}


def make_denoiser(config: ModelConfig, codes: int = 0) -> Denoiser:
    """The denoiser of a configuration, its weights random.

    Args:
        config: the model's shape.
        codes: how many codes it can be shown; 0 for one that is shown nothing.

    Raises:
        UsageError: codes cannot be shown to this kind.
        MissingError: a package that it needs is not installed.
    """
    if codes:
        config.require_shown()
        return ShownDenoiser(config, codes)
    return DENOISERS[config.denoiser](config)
