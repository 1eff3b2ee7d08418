"""semantic:FIELD=VALUE: a fact of the E2E meaning representation, in the field it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import model_validator

from dlm_controls import mr_reader
from dlm_core.errors import SpecError, did_you_mean
from dlm_core.spec import ControlSpec, Lengths, SpecValueError, Verdict, unquote

if TYPE_CHECKING:
    from torch import Tensor

    from dlm_controls.tagger import WordTagger
    from dlm_core.bundle import Model, ModelInfo
    from dlm_core.corpora import Example
    from dlm_core.guidance import BuildContext, Control, State
    from dlm_core.vocab import Vocab

OUTSIDE = "O"
_MAX_PHRASES = 12
_MAX_CASES = 8
_LEADS = (("near",), ("close", "to"), ("next", "to"))  # what makes a place a neighbour
_REACH = 5  # words before a phrase in which a "not" denies it


class Semantic(ControlSpec):
    """A fact in its field: name, near, food, Type, price, rating, area or family friendly."""

    kind: ClassVar[str] = "semantic"
    positional: ClassVar[tuple[str, ...]] = ()
    examples: ClassVar[tuple[str, ...]] = (
        "semantic:food=Japanese",
        "semantic:near=Burger King",
        "semantic:family friendly=yes",
    )

    normalised: ClassVar[bool] = True

    field: str
    value: str

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        """`Semantic(food="Japanese")` is `Semantic(field="food", value="Japanese")`."""
        if isinstance(data, dict) and len(data) == 1 and "field" not in data:
            ((field, value),) = data.items()
            return {"field": str(field).replace("_", " "), "value": value}
        return data

    @model_validator(mode="after")
    def _known_field(self) -> Self:
        field = mr_reader.canonical_field(self.field)
        if field is None:
            raise SpecValueError(
                f"unknown field '{self.field}'", did_you_mean(self.field, mr_reader.FIELDS)
            )
        if not self.value.strip():
            raise SpecValueError(
                f"field '{self.field}' has no value",
                f"for example {', '.join(mr_reader.VALUES[field][:4])}",
            )
        if mr_reader.canonical_value(field, self.value) is None:
            raise SpecValueError(
                f"unknown {self.field} '{self.value}'",
                did_you_mean(self.value, mr_reader.VALUES[field]),
            )
        return self

    @classmethod
    def fields_from_body(cls, body: str) -> dict[str, Any]:
        """The text before `=` is the field, the rest the value."""
        field, separator, value = body.partition("=")
        if not separator:
            raise SpecValueError("expected FIELD=VALUE", f"fields: {', '.join(mr_reader.FIELDS)}")
        return {"field": field.strip(), "value": unquote(value)}

    def body(self) -> str:
        """FIELD=VALUE."""
        return f"{self.field}={self.value}"

    @property
    def mr_field(self) -> str:
        """The field's name in the E2E meaning representations."""
        field = mr_reader.canonical_field(self.field)
        assert field is not None
        return field

    @property
    def mr_value(self) -> str:
        """The value's spelling in the E2E meaning representations."""
        value = mr_reader.canonical_value(self.mr_field, self.value)
        assert value is not None
        return value

    def phrases(self, info: ModelInfo) -> list[tuple[str, ...]]:
        """Phrases that say it; the value alone ("low") only where no longer one says the field too.

        All hold the value's own words (any paraphrase for the yes/no field), so that the paper's
        measure, which looks for these words, is met.
        """
        field, value = self.mr_field, self.mr_value
        own = tuple(value.split())
        said = list(mr_reader.realisations(field, value))
        if field == "near":
            said += [(*lead, *phrase) for lead in _LEADS for phrase in said]
        found = []
        for phrase in said:
            if not all(word in info.vocab for word in phrase):
                continue
            if field != "familyFriendly" and _find(phrase, own) is None:
                continue
            mentions = mr_reader.read_mentions(phrase)
            sure = any((m.field, m.value) == (field, value) for m in mentions)
            found.append((phrase, sure))
        chosen = [p for p, sure in found if sure] or [p for p, _ in found]
        return chosen[:_MAX_PHRASES]

    def check(self, info: ModelInfo) -> None:
        """The model must know the words of some phrase."""
        if not self.phrases(info):
            values = [
                v
                for v in mr_reader.VALUES[self.mr_field]
                if all(word in info.vocab for word in v.split())
            ]
            raise SpecError(
                f"control 'semantic', field '{self.field}': this model has no words for the value",
                source=self.value,
                hint=did_you_mean(self.value, values),
            )

    def lengths(self, info: ModelInfo) -> Lengths:
        """At least the shortest phrase."""
        phrases = self.phrases(info)
        return Lengths(min((len(p) for p in phrases), default=1), None)

    def build(self, context: BuildContext) -> Control:
        """Steer with the phrases and the bundle's `semantic` tagger of fields."""
        from dlm_controls.tagger import load_tagger

        tagger = load_tagger(context, self.kind)
        own = tuple(self.mr_value.split())
        phrases = [
            _Phrase(
                tuple(context.vocab.id(w) for w in words),
                # a yes/no paraphrase ("no kids") is the value from end to end
                (self.mr_field != "familyFriendly" and _find(words, own)) or (0, len(words)),
            )
            for words in self.phrases(context.info)
        ]
        return _SemanticControl(
            tagger,
            tagger.labels.index(self.mr_field),
            tuple(phrases),
            f"semantic:{self.body()}",
            max(128, context.info.config.max_len),  # draws do not depend on the batch's width
            tuple(_other_case(phrases, context.vocab)),
            tuple(
                context.vocab.id(w)
                for w in sorted(mr_reader.NEGATORS)
                if w in context.vocab
                and (self.mr_field, self.mr_value) == ("familyFriendly", "yes")
            ),
        )

    def verify(self, text: str) -> Verdict:
        """The value's words occur (the paper's measure); `right_field` is reported beside it."""
        words = text.split()
        value = mr_reader.has_value(words, self.mr_field, self.mr_value)
        right = mr_reader.right_field(words, self.mr_field, self.mr_value)
        detail = "" if value else f"'{self.mr_value}' does not occur"
        if value and not right:
            detail = f"'{self.mr_value}' occurs, but not as {self.field}"
        return Verdict(value, detail, parts={"right_field": right})

    @classmethod
    def train(
        cls,
        model: Model,
        examples: Sequence[Example],
        out: Path,
        on_step: Callable[[int, int, float], None] | None = None,
        **options: Any,
    ) -> dict[str, float]:
        """Train the tagger of fields on what the MR reader finds in the corpus."""
        from dlm_controls.tagger import train_tagger

        labels = (OUTSIDE, *mr_reader.FIELDS)
        words, tags = [], []
        for example in examples:
            tokens = example.text.split()
            if not 0 < len(tokens) <= model.info.max_words:
                continue
            row = [0] * len(tokens)
            for mention in mr_reader.read_mentions(tokens):
                # A reading the corpus denies is no label to learn from.
                if example.fields and mention.field not in example.fields:
                    continue
                for i in range(mention.start, mention.end):
                    row[i] = labels.index(mention.field)
            words.append(model.vocab.encode(example.text))
            tags.append(row)
        return train_tagger(model, words, tags, labels, out, on_step=on_step, **options)


def _find(phrase: Sequence[str], own: Sequence[str]) -> tuple[int, int] | None:
    """Where the value's own words stand in a phrase, whatever the case; None if they do not."""
    folded = [w.casefold() for w in own]
    for i in range(len(phrase) - len(own) + 1):
        if [w.casefold() for w in phrase[i : i + len(own)]] == folded:
            return i, i + len(own)
    return None


def _other_case(phrases: Sequence[_Phrase], vocab: Vocab) -> Iterator[_Phrase]:
    """The phrases in other case ("Riverside"): a text that has them says the fact as well."""
    alike: dict[str, list[int]] = {}
    for id_, word in enumerate(vocab.words):
        alike.setdefault(word.casefold(), []).append(id_)
    for phrase in phrases:
        choices = [alike[vocab.words[i].casefold()] for i in phrase.ids]
        for ids in islice(product(*choices), _MAX_CASES):
            if ids != phrase.ids:
                yield _Phrase(ids, phrase.value)


@dataclass(frozen=True)
class _Phrase:
    """Word ids, and the half-open range of them that is the value."""

    ids: tuple[int, ...]
    value: tuple[int, int]


@dataclass(frozen=True, eq=False)
class _SemanticControl:
    """p(c | x_t): some phrase stands somewhere, its value words in the right field.

    score(r, j) = sum_k [log q_{j+k}(v_rk) + log p(field | v_rk, context_{j+k})] for phrase r at j;
    p(c) = 1 - prod(1 - exp score).
    """

    tagger: WordTagger
    label: int
    phrases: tuple[_Phrase, ...]
    name: str
    places: int
    others: tuple[_Phrase, ...] = ()
    """Phrases that say it, too, but are never put into a text."""
    deniers: tuple[int, ...] = ()
    """Words that make it untrue where they stand up to `_REACH` words before it."""
    scope: ClassVar[str] = "sentence"
    multilinear: ClassVar[bool] = True
    """But for overlapping phrases; the gradient is asked for only where the contrary is."""

    def scores(self, state: State, phrases: Sequence[_Phrase]) -> Tensor:
        """Of R phrases, (B, R, L), -inf where one does not fit."""
        import torch
        import torch.nn.functional as F

        log_q = state.token_log_probs
        batch, width, _ = log_q.shape
        ids = sorted({i for p in phrases for i in p.ids})
        words = torch.tensor(ids, device=log_q.device)
        context = self.tagger.context(state.x_t, state.t, state.lengths)
        logits = self.tagger.logits(context, words.expand(batch, width, -1))  # (B, L, C, K)
        field = F.log_softmax(logits, dim=-1)[..., self.label]  # (B, L, C)
        q = log_q[..., words]
        position = torch.arange(width, device=log_q.device)
        start = log_q.new_zeros(batch, width)  # log p that nothing before a place denies it
        if self.deniers:
            denied = log_q[..., list(self.deniers)].exp().sum(-1)
            kept = torch.log1p(-denied.clamp(max=1 - 1e-6))
            for back in range(1, min(_REACH, width - 1) + 1):
                start = start + F.pad(kept[:, :-back], (back, 0))
        rows = []
        for phrase in phrases:
            score = start
            for k, word in enumerate(phrase.ids):
                column = ids.index(word)
                term = q[..., column]
                if phrase.value[0] <= k < phrase.value[1]:
                    term = term + field[..., column]
                score = score + F.pad(term, (0, k), value=0.0)[:, k : k + width]
            fits = position[None] + len(phrase.ids) <= state.lengths[:, None]
            rows.append(score.masked_fill(~fits, -torch.inf))
        return torch.stack(rows, dim=1)

    def log_prob(self, state: State) -> Tensor:
        """(B,)."""
        from dlm_core.guidance import log_any

        scores = self.scores(state, (*self.phrases, *self.others))
        return log_any(scores.flatten(1).clamp(min=-80.0))

    def tilt(self, state: State) -> Tensor:
        """Draw phrase and place from their posterior, and put the phrase there.

        The mean over places would leave every one of them unlikely, and the clamp would take the
        phrase at none. The draw's noise is fixed for a sample, so the place settles as q does.
        """
        import torch

        from dlm_core.guidance import LOG_FLOOR

        log_q = state.token_log_probs
        scores = self.scores(state, self.phrases)  # (B, R, L)
        gumbel = state.gumbel(self.name, len(self.phrases), self.places)[..., : scores.shape[-1]]
        best = (scores + gumbel).flatten(1).argmax(-1)  # (B,)
        out = log_q.clone()
        for row, choice in enumerate(best.tolist()):
            r, j = divmod(choice, scores.shape[-1])
            if self.deniers:
                out[row, max(0, j - _REACH) : j, list(self.deniers)] = LOG_FLOOR
            for k, word in enumerate(self.phrases[r].ids):
                out[row, j + k] = LOG_FLOOR
                out[row, j + k, word] = 0.0
        return torch.log_softmax(out, dim=-1)
