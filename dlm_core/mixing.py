"""A model between two others."""

from __future__ import annotations

from dataclasses import replace

from dlm_core.bundle import Model
from dlm_core.errors import UsageError
from dlm_core.sentences import SENTENCES


def mix(first: Model, second: Model, share: float) -> Model:
    """The model whose weights lie between two others', `share` of the way to the second.

    A fine-tuned model mixed with the one it began from often keeps the strengths of both (Wortsman
    et al. 2022, "Robust fine-tuning of zero-shot models"). Control heads are not mixed: train them
    on the result.

    Raises:
        UsageError: the share is not in [0, 1], or the models differ in shape or vocabulary.
    """
    from dlm_core.diffusion.model import DiffusionLM
    from dlm_core.diffusion.surroundings import loading

    if not 0 <= share <= 1:
        raise UsageError(f"the share is {share}, not between 0 and 1")
    if first.info.config != second.info.config:
        raise UsageError("the models have different shapes", "compare: dlm models show MODEL")
    if first.vocab.words != second.vocab.words:
        raise UsageError("the models have different vocabularies")
    other = second.net.state_dict()
    with loading():
        net = DiffusionLM(first.info.config, pad=first.vocab.pad, unk=first.vocab.unk)
        net.load_state_dict({k: v.lerp(other[k], share) for k, v in first.net.state_dict().items()})
    parts = {"first": first.info.sha256, "second": second.info.sha256, "share": share}
    train = second.info.provenance.get("train")
    kept = {k: v for k, v in first.info.provenance.items() if k == SENTENCES}
    return Model(replace(first.info, provenance={"mix": parts, **kept, "train": train}), net)
