"""pos:"PROPN AUX ...": the universal part of speech of each word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator

from dlm_controls.spacy_tags import UPOS, pos_tags
from dlm_core.errors import did_you_mean
from dlm_core.spec import ControlSpec, Lengths, SpecValueError, Verdict

if TYPE_CHECKING:
    from torch import Tensor

    from dlm_controls.tagger import WordTagger
    from dlm_controls.words_given import WordsGiven
    from dlm_core.bundle import Model, ModelInfo
    from dlm_core.corpora import Example
    from dlm_core.guidance import BuildContext, Control, State

ANY, GAP = "*", "..."
IN_CONTEXT = 0.5
"""At more noise than this the words' own tags decide: what surrounds them says little."""


class Pos(ControlSpec):
    """Universal part-of-speech tags, one a word; `*` is any word, `...` any number of words."""

    kind: ClassVar[str] = "pos"
    positional: ClassVar[tuple[str, ...]] = ("tags",)
    examples: ClassVar[tuple[str, ...]] = ('pos:"PROPN AUX DET ADJ NOUN ..."', 'pos:"... PUNCT"')

    tags: tuple[str, ...]

    @field_validator("tags", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(value.split()) if isinstance(value, str) else value

    @field_validator("tags")
    @classmethod
    def _known(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        if not tags:
            raise SpecValueError("no tags", 'for example pos:"PROPN AUX ..."')
        tags = tuple(GAP if tag in ("...", "…") else tag.upper() for tag in tags)
        for tag in tags:
            if tag not in (ANY, GAP) and tag not in UPOS:
                raise SpecValueError(f"unknown tag '{tag}'", did_you_mean(tag, UPOS, limit=20))
        return tags

    def body(self) -> str:
        """Tags in quotes."""
        return f'"{" ".join(self.tags)}"'

    @property
    def slots(self) -> int:
        """Words the tags name; gaps not counted."""
        return sum(tag != GAP for tag in self.tags)

    def lengths(self, info: ModelInfo) -> Lengths:
        """As many words as tags, or at least so many if there is a gap."""
        return Lengths(self.slots, None if GAP in self.tags else self.slots)

    def build(self, context: BuildContext) -> Control:
        """Steer with the bundle's `pos` tagger."""
        from dlm_controls.tag_words import load_tag_words
        from dlm_controls.tagger import load_tagger

        tagger = load_tagger(context, self.kind)
        words = load_tag_words(context, self.kind, len(tagger.labels))
        items = [tagger.labels.index(t) if t in tagger.labels else -1 for t in self.tags]
        gaps = [t == GAP for t in self.tags]
        return _PosControl(tagger, words, tuple(items), tuple(gaps))

    def verify(self, text: str) -> Verdict:
        """Word-level exact match of spaCy's tags; `score` is the share of words that match.

        Raises:
            MissingError: spaCy or its model is not installed.
        """
        (found,) = pos_tags([text.split()])
        cost = [
            [float(item not in (ANY, GAP) and item != tag) for item in self.tags] for tag in found
        ]
        aligned = align(cost, [t == GAP for t in self.tags])
        named = [item for item in self.tags if item not in (ANY, GAP)]
        if aligned is None:  # another number of words: compare as far as both go (the paper's rule)
            hits = sum(a == b for a, b in zip(self.tags, found, strict=False))
            hits += sum(a == ANY for a, _ in zip(self.tags, found, strict=False))
            return Verdict(False, "another number of words", hits / max(1, self.slots))
        wrong = [
            f"{word}/{tag} is not {self.tags[k]}"
            for word, tag, k in zip(text.split(), found, aligned, strict=True)
            if self.tags[k] not in (ANY, GAP, tag)
        ]
        score = 1.0 - len(wrong) / len(named) if named else 1.0
        return Verdict(not wrong, "; ".join(wrong), score)

    @classmethod
    def train(
        cls,
        model: Model,
        examples: Sequence[Example],
        out: Path,
        on_step: Callable[[int, int, float], None] | None = None,
        steps: int = 3200,
        seed: int = 0,
        **options: Any,
    ) -> dict[str, float]:
        """Tag the corpus with spaCy; train the net that writes on it, then the tagger.

        Args:
            model: whose words and noise the head learns.
            examples: texts.
            out: folder of the head.
            on_step: called with step, steps and loss.
            steps: of the net that writes; the tagger takes a quarter of them.
            seed: of both.
            options: others of `dlm_controls.tag_words.train_tag_words`.
        """
        from dlm_controls.tag_words import train_tag_words
        from dlm_controls.tagger import train_tagger

        texts = [e.text.split() for e in examples if e.text]
        texts = [words for words in texts if len(words) <= model.info.max_words]
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


def align(cost: Sequence[Sequence[float]], gaps: Sequence[bool]) -> list[int] | None:
    """The cheapest way to give each word one item: an item takes one word, a gap any number.

    Args:
        cost: of word i under item k; [words][items].
        gaps: which items are gaps.

    Returns:
        the item of each word, or None if no alignment exists.
    """
    words, items = len(cost), len(gaps)
    infinity = float("inf")
    # best[k][i]: the first i words are taken by the first k items
    best = [[infinity] * (words + 1) for _ in range(items + 1)]
    best[0][0] = 0.0
    for k, gap in enumerate(gaps):
        for i in range(words + 1):
            taken = best[k + 1][i - 1] if gap and i else infinity  # the gap takes word i - 1 too
            if not gap and i:
                taken = best[k][i - 1]
            taken += cost[i - 1][k] if i else 0.0
            best[k + 1][i] = min(taken, best[k][i]) if gap else taken
    if best[items][words] == infinity:
        return None
    out: list[int] = []
    k, i = items, words
    while i:
        if gaps[k - 1]:
            if best[k][i] == best[k - 1][i]:
                k -= 1
                continue
            out.append(k - 1)
            i -= 1
        else:
            out.append(k - 1)
            i, k = i - 1, k - 1
    return out[::-1]


@dataclass(frozen=True, eq=False)
class _PosControl:
    """p(tags | x_t) = prod_i sum_w q_i(w) p(tag_i | w, context_i): multilinear in q."""

    tagger: WordTagger
    words: WordsGiven
    items: tuple[int, ...]
    gaps: tuple[bool, ...]
    multilinear: ClassVar[bool] = True
    scope: ClassVar[str] = "position"

    def log_prob(self, state: State) -> Tensor:
        """(B,)."""
        labels = self._labels(state)
        # floored, so that one impossible word does not drown the gradient of the others
        per_word = self._joint(state, labels).logsumexp(-1).clamp(min=-50.0)  # (B, L)
        return (per_word * (labels >= 0)).sum(-1)

    def tilt(self, state: State) -> Tensor:
        """Tilt by the words that such tags are made of, then by the tagger.

        Guard normalises q_i(w) p(tag_i | w, context_i), the gradient's closed form.
        """
        from dlm_controls.tag_words import codes
        from dlm_core.guidance import LOG_FLOOR

        log_q, labels = state.token_log_probs, self._labels(state)
        delta: Tensor = self.words(log_q.exp(), codes(labels), state.t, state.lengths)
        log_q = (log_q + delta).log_softmax(dim=-1).clamp(min=LOG_FLOOR)
        if float(state.t.min()) > IN_CONTEXT:
            return log_q + self.tagger.lexicon_scores(labels)
        return self._joint(state.with_log_probs(log_q), labels)

    def _joint(self, state: State, labels: Tensor) -> Tensor:
        """log q_i(w) p(tag_i | w, context_i), (B, L, V)."""
        log_q = state.token_log_probs
        return log_q + self.tagger.word_log_probs(state, labels, log_q.detach())

    def _labels(self, state: State) -> Tensor:
        """Wanted label of each position, (B, L), -1 free.

        With one gap at most the length decides; with more, the alignment that the lexicon finds
        likeliest in q.
        """
        import torch

        batch, width = state.x_t.shape[:2]
        labels = torch.full((batch, width), -1, device=state.x_t.device)
        items = torch.tensor(self.items, device=state.x_t.device)
        if sum(self.gaps) > 1:
            p = state.token_log_probs.detach().exp() @ self.tagger.lexicon_log_probs().exp()
            cost = -p.clamp(min=1e-9).log()[..., items.clamp(min=0)]  # (B, L, items)
            costs = cost.masked_fill(items < 0, 0.0).tolist()
        for row, n in enumerate(state.lengths.tolist()):
            if sum(self.gaps) > 1:
                aligned = align(costs[row][:n], self.gaps)
            else:
                aligned = align([[0.0] * len(self.items)] * n, self.gaps)
            if aligned is not None:
                labels[row, :n] = items[torch.tensor(aligned, device=items.device)]
        return labels
