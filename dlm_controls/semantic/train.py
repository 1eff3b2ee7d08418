"""Training of the tagger of fields, on what the reader finds in a corpus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlm_controls.heads.tagger import train_tagger
from dlm_controls.semantic import reader, tables
from dlm_core.training.heads import require_texts

if TYPE_CHECKING:
    from dlm_core.bundle import Model
    from dlm_core.corpora import Example

OUTSIDE = "O"


def train_fields(
    model: Model,
    examples: Sequence[Example],
    out: Path,
    on_step: Callable[[int, int, float], None] | None = None,
    **options: Any,
) -> dict[str, float]:
    """See `Semantic.train`."""
    labels = (OUTSIDE, *tables.FIELDS)
    words, tags = [], []
    for example in examples:
        tokens = example.text.split()
        if not 0 < len(tokens) <= model.info.max_words:
            continue
        row = [0] * len(tokens)
        for mention in reader.read_mentions(tokens):
            # A reading the corpus denies is no label to learn from.
            if example.fields and mention.field not in example.fields:
                continue
            for i in range(mention.start, mention.end):
                row[i] = labels.index(mention.field)
        words.append(model.vocab.encode(example.text))
        tags.append(row)
    saying = sum(any(row) for row in tags)
    require_texts(saying, len(examples), "state a fact (name, food, area, ...)")
    figures = train_tagger(model, words, tags, labels, out, on_step=on_step, **options)
    return {"texts with a fact": round(saying / len(tags), 4), **figures}
