"""What augment.py and finetune.py share: how a causal language model is read, how they are run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlm_core.errors import DLMError, MissingError


def read_causal(name: str, **options: Any) -> tuple[Any, Any]:
    """A language model and its tokenizer; a folder, a hub name, or a GGUF file.

    Args:
        name: of the model.
        options: of `AutoModelForCausalLM.from_pretrained`.

    Raises:
        MissingError: it cannot be read.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = Path(name).expanduser()
    where: dict[str, Any] = {}
    if path.suffix == ".gguf":
        name, where = str(path.parent), {"gguf_file": path.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, **where)
        model = AutoModelForCausalLM.from_pretrained(name, **where, **options)
    except (OSError, ValueError, ImportError) as error:
        reason = str(error).strip().splitlines()[0]
        raise MissingError(
            f"no language model '{name}': {reason}", "a folder, a hub name, or a GGUF file"
        ) from error
    if where:  # read as numbers of four bits, it is one of floats from here on
        model.is_quantized, model.hf_quantizer = False, None
        del model.config.quantization_config
    return model, tokenizer


def run(parser: argparse.ArgumentParser, work: Callable[[argparse.Namespace], None]) -> int:
    """Do what the command line asks for; the exit code is dlm's."""
    try:
        work(parser.parse_args())
    except DLMError as error:
        print(
            f"error: {error.message}" + (f" ({error.hint})" if error.hint else ""), file=sys.stderr
        )
        return error.exit_code
    return 0
