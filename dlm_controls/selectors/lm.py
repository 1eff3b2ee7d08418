"""lm:PATH: the candidate that an autoregressive teacher finds most fluent."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from dlm_core.errors import MissingError, UsageError
from dlm_core.selection import SelectorSpec

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

    from dlm_core.results import Result
    from dlm_core.vocab import Vocab


class ByLM(SelectorSpec):
    """Lowest NLL a token under a word-level GPT-2 in the folder PATH."""

    kind: ClassVar[str] = "lm"
    positional: ClassVar[tuple[str, ...]] = ("path",)
    examples: ClassVar[tuple[str, ...]] = ("lm:TEACHER",)

    path: Path

    def check(self) -> None:
        """The folder has a teacher that can be read, and transformers is installed."""
        if find_spec("transformers") is None:
            raise MissingError(
                "selector 'lm': transformers is not installed", "pip install transformers"
            )
        for name in ("config.json", "model.safetensors", "tokenizer.json"):
            if not (self.path.expanduser() / name).is_file():
                raise MissingError(
                    f"selector 'lm': no {name} in {self.path}",
                    "python benchmarks/teacher.py train --out TEACHER makes a teacher",
                )
        self._teacher()

    def _teacher(self) -> tuple[GPT2LMHeadModel, Vocab]:
        from dlm_core.diffusion.surroundings import loading

        with loading():
            return _load_teacher(self.path.expanduser().resolve())

    def scores(self, candidates: Sequence[Result]) -> list[float]:
        """Minus the mean NLL of each text in nats a token; tokens are its words and END.

        Raises:
            MissingError: no teacher in the folder.
            UsageError: a text is longer than the teacher reads.
        """
        import torch
        from torch.nn import functional as F

        from dlm_core.diffusion.surroundings import usual_torch

        self.check()
        model, vocab = self._teacher()
        limit = model.config.n_positions
        scores = []
        with usual_torch(), torch.inference_mode():
            for result in candidates:
                ids = [vocab.start, *vocab.encode(result.tokenised), vocab.end]
                if len(ids) > limit:
                    raise UsageError(
                        f"selector 'lm': a text of {len(ids) - 2} words; the teacher in "
                        f"{self.path} reads {limit - 2}"
                    )
                tokens = torch.tensor([ids])
                logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
                scores.append(-float(F.cross_entropy(logits[0], tokens[0, 1:])))
        return scores


@lru_cache(maxsize=2)
def _load_teacher(folder: Path) -> tuple[GPT2LMHeadModel, Vocab]:
    """Read once for all requests of a run."""
    from transformers import GPT2LMHeadModel
    from transformers.utils import logging

    from dlm_core.vocab import Vocab

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    vocab = Vocab.load(folder / "tokenizer.json")
    try:
        model = GPT2LMHeadModel.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    except Exception as error:  # safetensors raises its own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise MissingError(f"selector 'lm': cannot read the teacher {folder}: {reason}") from error
    if model.config.vocab_size != len(vocab):
        raise MissingError(
            f"selector 'lm': the teacher {folder} has {model.config.vocab_size} embeddings for "
            f"{len(vocab)} words"
        )
    return model.eval(), vocab  # type: ignore[no-untyped-call]
