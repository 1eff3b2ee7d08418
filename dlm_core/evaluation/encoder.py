"""BERTScore's encoder, from a folder of the user's."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dlm_core.errors import MissingError
from dlm_core.text import load_json
from dlm_core.weights import MOST_TEXT, read_file


def load_scorer(folder: Path, layer: int | None = None) -> Any:
    """A `bert_score.BERTScorer`, read once for all calls of a run.

    Args:
        folder: config, weights and tokenizer of an encoder.
        layer: the one whose vectors are compared; the last if omitted.

    Raises:
        MissingError: bert-score is not installed, or the folder has no encoder that can be read.
    """
    if find_spec("bert_score") is None:
        raise MissingError(
            "BERTScore needs bert-score, which is not installed", "pip install bert-score"
        )
    folder = folder.expanduser()
    if not (folder / "config.json").is_file():
        raise MissingError(
            f"no encoder in {folder} (config.json is missing)",
            f"hf download roberta-large --local-dir {folder}, or any other encoder",
        )
    from dlm_core.diffusion.surroundings import loading

    with loading():
        return _load(folder.resolve(), layer)


def _refuse_code(folder: Path) -> None:
    """Refuse an encoder that brings Python of its own: transformers would ask whether to run it."""
    for name in ("config.json", "tokenizer_config.json"):
        path = folder / name
        if not path.exists():
            continue
        try:
            data = load_json(read_file(path, MOST_TEXT))
        except ValueError as error:
            raise MissingError(f"{path} is broken: {error}") from error
        if isinstance(data, dict) and "auto_map" in data:
            raise MissingError(
                f"{path} names Python to run ('auto_map'), and dlm runs none",
                "take an encoder that transformers knows by itself, such as roberta-large",
            )


@lru_cache(maxsize=1)
def _load(folder: Path, layer: int | None) -> Any:
    """The encoder, read once for all requests of a run."""
    _refuse_code(folder)
    from bert_score import BERTScorer
    from transformers import AutoConfig
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        layers = int(config.num_hidden_layers)
        if layer is not None and not 1 <= layer <= layers:
            raise MissingError(f"no layer {layer} in {folder}", f"it has layers 1 to {layers}")
        # bert-score's own default tokenizer is the slow one, which few models still have
        scorer = BERTScorer(str(folder), num_layers=layer or layers, use_fast_tokenizer=True)
    except (OSError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise MissingError(f"cannot read {folder}: {reason}") from error
    # A tokenizer without a limit says 1e30, which overflows when bert-score passes it on.
    limit = getattr(config, "max_position_embeddings", None) or 512
    scorer._tokenizer.model_max_length = min(scorer._tokenizer.model_max_length, limit)
    return scorer
