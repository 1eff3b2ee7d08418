"""BERT (Devlin et al. 2019), which the paper's denoiser is (App. B): transformers' own encoder.

Shapes: B batch, L positions, H hidden width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from dlm_core.config import ModelConfig
from dlm_core.diffusion.denoisers.base import Denoiser, widths
from dlm_core.diffusion.denoisers.transformer import sinusoid
from dlm_core.errors import MissingError, UsageError

if TYPE_CHECKING:
    from types import ModuleType

_KEY = "key 'bert_checkpoint'"


class Bert(Denoiser):
    """A BERT of random weights, or of a checkpoint's (`start_from_bert`).

    Word vectors stand where BERT's own did; the time, and the position counted from the right, are
    added to them. BERT adds the position from the left.

    Raises:
        MissingError: transformers is not installed.
    """

    def __init__(self, config: ModelConfig) -> None:
        transformers = _transformers()
        super().__init__()
        inputs, outputs = widths(config)
        hidden = config.hidden
        self.self_conditioning, self.hidden = config.self_conditioning, hidden
        shape = transformers.BertConfig(
            vocab_size=1,
            hidden_size=hidden,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=4 * hidden,
            max_position_embeddings=config.max_len,
            hidden_dropout_prob=config.dropout,
            attention_probs_dropout_prob=config.dropout,
        )
        self.bert = transformers.BertModel(shape, add_pooling_layer=False)
        del self.bert.embeddings.word_embeddings  # never asked: a weight without a gradient
        self.inputs = nn.Linear(inputs, hidden)
        self.from_right = nn.Embedding(config.max_len, hidden)
        self.time = nn.Sequential(
            nn.Linear(hidden, 4 * hidden), nn.SiLU(), nn.Linear(4 * hidden, hidden)
        )
        self.outputs = nn.Linear(hidden, outputs)
        nn.init.normal_(self.from_right.weight, std=0.02)  # as BERT's own

    def forward(self, x: Tensor, t: Tensor, lengths: Tensor) -> Tensor:
        """x (B, L, inputs), t (B,) in [0, 1], lengths (B,) -> (B, L, outputs)."""
        left = torch.arange(x.shape[1], device=x.device)
        right = (lengths[:, None] - 1 - left).clamp(min=0)  # (B, L)
        h = self.inputs(x) + self.from_right(right) + self.time(sinusoid(t, self.hidden))[:, None]
        mask = (left < lengths[:, None]).long()  # (B, L)
        h = self.bert(inputs_embeds=h, attention_mask=mask).last_hidden_state
        return self.outputs(h)  # type: ignore[no-any-return]


def start_from_bert(denoiser: nn.Module, checkpoint: str) -> None:
    """Take the weights of a BERT: encoder, positions, norms; words are the Diffusion-LM's own.

    Args:
        denoiser: of kind 'bert'.
        checkpoint: a folder or a hub id, in transformers' format with safetensors.

    Raises:
        MissingError: it cannot be read.
        UsageError: the denoiser is none, the checkpoint is none, or of another shape.
    """
    if not isinstance(denoiser, Bert):
        raise UsageError(f"{_KEY}: the denoiser is no 'bert'", 'denoiser = "bert" in [model]')
    transformers = _transformers()
    try:
        found = transformers.AutoConfig.from_pretrained(checkpoint)
        _check(denoiser.bert.config, found, checkpoint)
        source = transformers.BertModel.from_pretrained(
            checkpoint, add_pooling_layer=False, use_safetensors=True
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise MissingError(
            f"{_KEY}: cannot read {checkpoint}: {str(error).splitlines()[0]}",
            "a folder with config.json and model.safetensors, or a hub id while online",
        ) from error
    weights = source.state_dict()
    del weights["embeddings.word_embeddings.weight"]
    positions = "embeddings.position_embeddings.weight"
    weights[positions] = weights[positions][: denoiser.from_right.num_embeddings]
    denoiser.bert.load_state_dict(weights)


def _check(ours: Any, theirs: Any, checkpoint: str) -> None:
    """The checkpoint is a BERT of our shape; configurations of transformers."""
    if theirs.model_type != "bert":
        raise UsageError(f"{_KEY}: {checkpoint} is a '{theirs.model_type}', no 'bert'")
    names = {
        "hidden": "hidden_size",
        "layers": "num_hidden_layers",
        "heads": "num_attention_heads",
    }
    for name, attribute in names.items():
        if getattr(ours, attribute) != getattr(theirs, attribute):
            needed = (f"{n} = {getattr(theirs, a)}" for n, a in names.items())
            raise UsageError(
                f"{_KEY}: '{name}' of {checkpoint} is {getattr(theirs, attribute)}, this model's "
                f"is {getattr(ours, attribute)}",
                f"in the [model] table: {', '.join(needed)}",
            )
    if ours.max_position_embeddings > theirs.max_position_embeddings:
        raise UsageError(
            f"{_KEY}: {checkpoint} has {theirs.max_position_embeddings} positions, 'max_len' is "
            f"{ours.max_position_embeddings}"
        )
    if theirs.intermediate_size != 4 * theirs.hidden_size:
        raise UsageError(
            f"{_KEY}: the feed-forward layers of {checkpoint} are {theirs.intermediate_size} wide, "
            "not 4 times 'hidden'"
        )


def _transformers() -> ModuleType:
    """The package, imported late."""
    try:
        import transformers
    except ImportError as error:
        raise MissingError(
            "denoiser 'bert': transformers is not installed", "pip install transformers"
        ) from error
    return transformers
