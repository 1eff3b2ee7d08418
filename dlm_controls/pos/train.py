"""Training of the head of `pos` on a corpus tagged by spaCy: what writes, then the tagger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlm_controls.heads.tagger import train_tagger
from dlm_controls.pos.oracle import UPOS, pos_tags
from dlm_controls.pos.words import train_tag_words
from dlm_core.training.heads import require_texts

if TYPE_CHECKING:
    from dlm_core.bundle import Model
    from dlm_core.corpora import Example


def train_tags(
    model: Model,
    examples: Sequence[Example],
    out: Path,
    on_step: Callable[[int, int, float], None] | None,
    steps: int,
    seed: int,
    **options: Any,
) -> dict[str, float]:
    """See `Pos.train`."""
    texts = [e.text.split() for e in examples]
    texts = [words for words in texts if 0 < len(words) <= model.info.max_words]
    require_texts(len(texts), len(examples), f"have 1 to {model.info.max_words} words")
    ids = {tag: k for k, tag in enumerate(UPOS)}
    tags = [[ids.get(tag, ids["X"]) for tag in row] for row in pos_tags(texts)]
    words = [[model.vocab.id(w) for w in text] for text in texts]
    quarter = -(-steps // 4)

    def shifted(done: int) -> Callable[[int, int, float], None] | None:
        if on_step is None:
            return None
        return lambda step, _, loss: on_step(done + step, steps + quarter, loss)

    options |= {"steps": steps, "seed": seed, "on_step": shifted(0)}
    figures = train_tag_words(model, words, tags, len(UPOS), out, **options)
    return figures | train_tagger(
        model,
        words,
        tags,
        UPOS,
        out,
        steps=quarter,
        seed=seed,
        on_step=shifted(steps),
        extra={"words": figures},
    )
