"""FT-sample and FT-search: GPT-2 fine-tuned on texts behind their control (§6.3), one a kind.

Not plug-and-play: a new kind of control is a new training run. FT-search has one answer, by beam
search of width 4, which stands for each of the n texts that are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from benchmarks.baselines.base import System, only
from benchmarks.baselines.lab import Lab
from benchmarks.baselines.tuning import Tuned
from benchmarks.baselines.words import MOST_WORDS, WordLM, draw, texts_of
from dlm_core.control.compose import Controls

BEAMS = 4
KINDS = frozenset({"semantic", "pos", "tree", "span", "length", "keyword"})


def told(lab: Lab, controls: Controls) -> tuple[Tuned, list[int]]:
    """The model of the one control, and the control's ids."""
    spec = only(controls)
    tuned = lab.tuned(spec.kind)
    return tuned, tuned.ids(lab.condition(spec.kind).codes(spec))


@dataclass(frozen=True, eq=False)
class FineTuned(System):
    """Base of what writes with a model a kind."""

    lab: Lab
    kinds: ClassVar[frozenset[str]] = KINDS

    def prepare(self, asked: Sequence[Controls]) -> None:
        """Fine-tune."""
        for kind in {term.spec.kind for controls in asked for term in controls}:
            self.lab.tuned(kind)


class FTSample(FineTuned):
    """Drawn at temperature 1."""

    def generate(self, controls: Controls, n: int, seed: int) -> list[str]:
        """As `System`."""
        tuned, given = told(self.lab, controls)
        rows = draw(tuned.after(given), range(seed, seed + n), tuned.vocab.end)
        return texts_of(rows, tuned.vocab)


class FTSearch(FineTuned):
    """The likeliest text that beam search finds."""

    def generate(self, controls: Controls, n: int, seed: int) -> list[str]:
        """As `System`; every text is the same one."""
        tuned, given = told(self.lab, controls)
        return [tuned.vocab.decode(beam_search(tuned, given))] * n


@torch.no_grad()
def beam_search(
    lm: WordLM, given: Sequence[int], beams: int = BEAMS, most: int = MOST_WORDS
) -> list[int]:
    """Words of the text of the highest mean log p a token that `beams` beams find."""
    vocab = lm.vocab
    ids = torch.tensor([[*given, vocab.start]])
    codes = range(len(vocab), lm.model.config.vocab_size)
    out = lm.model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=most, min_new_tokens=1,
        num_beams=beams, do_sample=False, bos_token_id=vocab.start, eos_token_id=vocab.end,
        pad_token_id=vocab.pad, suppress_tokens=[vocab.start, vocab.unk, vocab.pad, *codes],
    )[0, ids.shape[1] :].tolist()  # fmt: skip
    return out[: out.index(vocab.end)] if vocab.end in out else out


SYSTEMS = {"FT-sample": FTSample, "FT-search": FTSearch}
