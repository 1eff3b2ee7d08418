"""What the command lines of the benchmarks share."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

import torch

from dlm_core.errors import DLMError


def say(message: str) -> None:
    """One line of progress on stderr."""
    print(message, file=sys.stderr, flush=True)


def e2e(split: str) -> dict[str, Any]:
    """An option that names a corpus; E2E's train or valid where DLM_SHARED says where it lies."""
    shared = os.environ.get("DLM_SHARED")
    default = f"e2e:{shared}/data/e2e/{split}.csv.gz" if shared else None
    return {"metavar": "READER:PATH", "default": default, "required": default is None}


def run(parser: argparse.ArgumentParser) -> int:
    """Run what the options say, their `run`, on so many `threads`; the exit code is dlm's."""
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    try:
        options.run(options)
    except DLMError as error:
        say(f"error: {error.message}" + (f" ({error.hint})" if error.hint else ""))
        return error.exit_code
    return 0
