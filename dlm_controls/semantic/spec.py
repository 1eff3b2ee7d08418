"""semantic:FIELD=VALUE: a fact of the E2E meaning representation, in the field it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import model_validator

from dlm_controls.pattern.automaton import TooManyStatesError
from dlm_controls.pattern.language import WordAutomaton, warn
from dlm_controls.semantic import oracle, reader, tables
from dlm_controls.semantic.control import Phrase, SemanticControl, other_case
from dlm_controls.semantic.others import barred_ids
from dlm_controls.semantic.places import OPEN_FIELDS, as_known, stand_in, unknown
from dlm_controls.semantic.wording import wordings
from dlm_core.control.compose import ControlSpec
from dlm_core.control.grammar import unquote
from dlm_core.control.lengths import Lengths
from dlm_core.control.shown import Shown
from dlm_core.control.spec import SpecValueError
from dlm_core.control.verdict import Place, Verdict
from dlm_core.errors import SpecError, did_you_mean

if TYPE_CHECKING:
    from random import Random

    from dlm_controls.pattern.automaton import Automaton
    from dlm_core.bundle import Model, ModelInfo
    from dlm_core.control.protocol import BuildContext
    from dlm_core.corpora import Example

_MAX_PHRASES = 12
_LEADS = (("near",), ("close", "to"), ("next", "to"))  # what makes a place a neighbour


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

    if TYPE_CHECKING:

        def __init__(self, **fact: str) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        """`Semantic(food="Japanese")` is `Semantic(field="food", value="Japanese")`."""
        if isinstance(data, dict) and len(data) == 1 and "field" not in data:
            ((field, value),) = data.items()
            return {"field": str(field).replace("_", " "), "value": value}
        if isinstance(data, dict) and len(data) > 1 and not {"field", "value"} & set(data):
            facts = " + ".join(f"Semantic({field}=...)" for field in data)
            raise SpecValueError("one fact each", facts)
        return data

    @model_validator(mode="after")
    def _known_field(self) -> Self:
        field = reader.canonical_field(self.field)
        if field is None:
            raise SpecValueError(
                f"unknown field '{self.field}'", did_you_mean(self.field, tables.FIELDS)
            )
        if not self.value.strip():
            raise SpecValueError(
                f"field '{self.field}' has no value",
                f"for example {', '.join(tables.VALUES[field][:4])}",
            )
        if reader.canonical_value(field, self.value) is None and field not in OPEN_FIELDS:
            raise SpecValueError(
                f"unknown {self.field} '{self.value}'",
                did_you_mean(self.value, tables.VALUES[field]),
            )
        return self

    @classmethod
    def fields_from_body(cls, body: str) -> dict[str, Any]:
        """The text before `=` is the field, the rest the value."""
        field, separator, value = body.partition("=")
        if not separator:
            raise SpecValueError("expected FIELD=VALUE", f"fields: {', '.join(tables.FIELDS)}")
        first, comma, rest = value.partition(",")
        if comma and reader.canonical_field(rest.partition("=")[0]) and "=" in rest:
            facts = f"{cls.kind}:{field.strip()}={first.strip()}", f"{cls.kind}:{rest.strip()}"
            raise SpecValueError("one fact each", f"write '{facts[0]}' and '{facts[1]}'")
        return {"field": field.strip(), "value": unquote(value)}

    @classmethod
    def complete(cls, body: str) -> list[str]:
        """Fields, then the values of one."""
        name, separator, _ = body.partition("=")
        field = reader.canonical_field(name) if separator else None
        if field is None:
            return [f"{field}=" for field in tables.FIELDS]
        return [f"{name}={value}" for value in tables.VALUES[field]]

    @classmethod
    def known_values(cls, field: str, given: Mapping[str, Any], info: ModelInfo) -> Iterable[str]:
        """Fields, and the values of the given one."""
        if field == "field":
            return tables.FIELDS
        return tables.VALUES.get(reader.canonical_field(str(given.get("field"))) or "", ())

    def body(self) -> str:
        """FIELD=VALUE."""
        return f"{self.field}={self.value}"

    @property
    def mr_field(self) -> str:
        """The field's name in the E2E meaning representations."""
        field = reader.canonical_field(self.field)
        assert field is not None
        return field

    @property
    def mr_value(self) -> str:
        """The value's spelling in the E2E meaning representations, or what stands in for it."""
        value = reader.canonical_value(self.mr_field, self.value)
        return value or stand_in(self.mr_field, self.said)

    @property
    def said(self) -> str:
        """The value as a text has it: that of the corpus, or an unknown place as it was typed."""
        value = reader.canonical_value(self.mr_field, self.value)
        return value or " ".join(self.value.split())

    @property
    def _foreign(self) -> bool:
        return unknown(self.mr_field, self.value)

    def known_words(self, words: Sequence[str]) -> list[str]:
        """The words of a text with the stand-in for a place that the corpus never saw."""
        if not self._foreign:
            return list(words)
        return as_known(self.mr_field, self.said, words)

    def phrases(self, info: ModelInfo) -> list[tuple[str, ...]]:
        """Phrases that say it; the value alone ("low") only where no longer one says the field too.

        All hold the value's own words (any paraphrase for the yes/no field), so that the paper's
        measure, which looks for these words, is met.
        """
        known = [
            (phrase, sure)
            for phrase, sure in _sayings(self.mr_field, self.mr_value)
            if all(word in info.vocab for word in phrase)
        ]
        chosen = [p for p, sure in known if sure] or [p for p, _ in known]
        return chosen[:_MAX_PHRASES]

    def check(self, info: ModelInfo) -> None:
        """The model must know the words of some phrase; a place it never saw is told."""
        if self._foreign:
            near = did_you_mean(self.value, tables.VALUES[self.mr_field])
            warn(
                f"control '{self.kind}', field '{self.field}': the model never saw "
                f"'{self.said}'; it writes of another place, and your words stand in the text"
                + (f" ({near})" if near else "")
            )
        if not self.phrases(info):
            values = [
                v
                for v in tables.VALUES[self.mr_field]
                if all(word in info.vocab for word in v.split())
            ]
            raise SpecError(
                f"control 'semantic', field '{self.field}': this model has no words for the value",
                source=self.value,
                hint=did_you_mean(self.value, values),
                field=self.field,
            )

    def lengths(self, info: ModelInfo) -> Lengths:
        """At least the shortest phrase."""
        phrases = self.phrases(info)
        return Lengths(min((len(p) for p in phrases), default=1), None)

    @classmethod
    def together(cls, specs: Sequence[Self], info: ModelInfo) -> Lengths:
        """Facts share no words: at least the shortest phrase of each."""
        facts = {(spec.mr_field, spec.mr_value): spec for spec in specs}
        return Lengths(sum(spec.lengths(info).low for spec in facts.values()))

    def excludes(self, other: ControlSpec, info: ModelInfo) -> str | None:
        """Another value of the field, the same place as neighbour, or words without a phrase."""
        if isinstance(other, Semantic):
            mine, others = (self.mr_field, self.said), (other.mr_field, other.said)
            if {mine[0], others[0]} == {"name", "near"} and mine[1] == others[1]:
                return f"'{mine[1]}' is not near itself"
            if mine[0] == others[0] and oracle.exclude(mine[0], mine[1], others[1]):
                return f"'{mine[1]}' and '{others[1]}' are not both its {mine[0]}"
        if isinstance(other, WordAutomaton):
            try:
                if all((said & other.automaton).empty for said in self._wordings(info)):
                    return f"no words are left that say '{self.mr_value}'"
            except TooManyStatesError:
                return None
        return None

    def implied_by(self, other: ControlSpec, info: ModelInfo) -> str | None:
        """The same fact however it is spelt, or words that hold the value's own."""
        if isinstance(other, Semantic):
            same = (self.mr_field, self.said) == (other.mr_field, other.said)
            return "one is the contrary of the other" if same else None
        # what says "yes" of a yes/no field can stand behind a "not"
        if isinstance(other, WordAutomaton) and self.mr_field != "familyFriendly":
            try:
                if any((other.automaton & ~said).empty for said in self._wordings(info)):
                    return f"'{self.mr_value}' would occur"
            except TooManyStatesError:
                return None
        return None

    def _wordings(self, info: ModelInfo) -> Iterator[Automaton]:
        return wordings(self.mr_field, self.mr_value, info.vocab)

    def shown(self, words: int) -> Shown:
        """The fact's code."""
        from dlm_controls.semantic.shown import code

        return Shown((code(self.mr_field, self.mr_value),))

    @classmethod
    def read_shown(cls, examples: Sequence[Example]) -> list[Shown | None]:
        """The facts of each text, and the fields it says nothing of."""
        from dlm_controls.semantic.shown import read

        return [read(example) for example in examples]

    @classmethod
    def draw_shown(cls, everything: Shown, words: Sequence[str], draws: Random) -> Shown:
        """Some or all facts, and maybe what is not said."""
        from dlm_controls.semantic.shown import draw

        return draw(everything, draws)

    def build(self, context: BuildContext) -> SemanticControl:
        """Steer with the phrases and the bundle's `semantic` tagger of fields."""
        from dlm_controls.heads.tagger import load_tagger

        tagger = load_tagger(context, self.kind)
        own = tuple(self.mr_value.split())
        phrases = [
            Phrase(
                tuple(context.vocab.id(w) for w in words),
                # a yes/no paraphrase ("no kids") is the value from end to end
                (self.mr_field != "familyFriendly" and _find(words, own)) or (0, len(words)),
            )
            for words in self.phrases(context.info)
        ]
        return SemanticControl(
            tagger,
            tagger.labels.index(self.mr_field),
            tuple(phrases),
            f"semantic:{self.body()}",
            max(128, context.info.config.max_len),  # draws do not depend on the batch's width
            tuple(other_case(phrases, context.vocab)),
            tuple(
                context.vocab.id(w)
                for w in sorted(tables.NEGATORS)
                if w in context.vocab
                and (self.mr_field, self.mr_value) == ("familyFriendly", "yes")
            ),
            (self.mr_field, self.mr_value),
            self.shown(1).names <= context.shown,
            barred_ids([(self.mr_field, self.mr_value)], context.vocab),
            (tuple(self.mr_value.split()), tuple(self.said.split())) if self._foreign else None,
        )

    def verify(self, text: str) -> Verdict:
        """The value's words occur (the paper's measure), say this field, and nothing denies it."""
        words = text.split()
        known = self.known_words(words)
        found = oracle.judge(known, self.mr_field, self.mr_value)
        parts = {
            "value": found.value,
            "right_field": found.right_field,
            "consistent": found.consistent,
        }
        # a stand-in of another number of words moves all places
        places = self.places(found) if len(known) == len(words) else []
        return Verdict(all(parts.values()), found.detail, parts=parts, places=places)

    def places(self, found: oracle.Judgement) -> list[Place]:
        """Where a text states it."""
        return [Place(start, end, self.field) for start, end in found.places]

    def verify_not(self, text: str) -> Verdict:
        """Neither do the value's words occur, nor does the text say it in others."""
        words = text.split()
        value = oracle.has_value(words, self.mr_field, self.mr_value)
        right = oracle.right_field(words, self.mr_field, self.mr_value)
        said = "occurs" if value else "is said in other words" if right else "does not occur"
        parts = {"value": not value, "right_field": not right}
        return Verdict(not (value or right), f"'{self.mr_value}' {said}", parts=parts)

    @classmethod
    def text_faults(cls, words: Sequence[str]) -> dict[str, list[str]]:
        """Facts that exclude each other, and facts said twice."""
        return {
            "contradictions": oracle.contradictions(words),
            "repetitions": oracle.repetitions(words),
        }

    @classmethod
    def train(
        cls,
        model: Model,
        examples: Sequence[Example],
        out: Path,
        on_step: Callable[[int, int, float], None] | None = None,
        **options: Any,
    ) -> dict[str, float]:
        """Train the tagger of fields on what the MR reader finds in the corpus.

        Raises:
            UsageError: it finds facts in too few texts.
        """
        from dlm_controls.semantic.train import train_fields

        return train_fields(model, examples, out, on_step=on_step, **options)


@lru_cache(maxsize=512)
def _sayings(field: str, value: str) -> tuple[tuple[tuple[str, ...], bool], ...]:
    """Phrases that hold a value's own words, and whether each says the field by itself."""
    own = tuple(value.split())
    said = list(reader.realisations(field, value))
    if field == "near":
        said += [(*lead, *phrase) for lead in _LEADS for phrase in said]
    found = []
    for phrase in said:
        if field != "familyFriendly" and _find(phrase, own) is None:
            continue
        mentions = reader.read_mentions(phrase)
        found.append((phrase, any((m.field, m.value) == (field, value) for m in mentions)))
    return tuple(found)


def _find(phrase: Sequence[str], own: Sequence[str]) -> tuple[int, int] | None:
    """Where the value's own words stand in a phrase, whatever the case; None if they do not."""
    folded = [w.casefold() for w in own]
    for i in range(len(phrase) - len(own) + 1):
        if [w.casefold() for w in phrase[i : i + len(own)]] == folded:
            return i, i + len(own)
    return None
